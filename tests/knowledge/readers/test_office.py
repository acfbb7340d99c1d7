import pytest

from espalier.knowledge.readers.archive import Archive
from espalier.knowledge.readers.office import core_title, main_part
from tests.data.documents.build import docx, word, zipped


def test_the_main_part_is_named_by_the_relations_of_the_whole():
    assert main_part(Archive(docx(word("a"), main="word/document2.xml"), "a")) == "word/document2.xml"
    assert main_part(Archive(zipped({"a.txt": "text"}), "a")) == ""


@pytest.mark.parametrize("title", ["안내", ""])
def test_the_title_is_that_of_the_properties(title):
    assert core_title(Archive(docx(word("a"), title=title), "a")) == title
    assert core_title(Archive(docx(word("a")), "a")) == ""
