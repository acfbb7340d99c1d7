"""Documents of the world, and where in them facts stand."""

from itertools import pairwise

import pytest

from espalier.errors import RunError
from espalier.knowledge.documents import find_documents, read_document
from espalier.world import korean
from espalier.world.documents import Telling, documents, file_name, write_documents
from espalier.world.facts import World
from espalier.world.wordings import expansions, fill, relations

WORLD = World.make(100, split="test", seed=2)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_statements_stand_where_they_are_said_to(tmp_path, language):
    """In the text as it will be indexed, for every format and style."""
    library = write_documents(WORLD, tmp_path / "docs", 1, language=language)
    read = {name: read_document(path, name) for name, path in find_documents(tmp_path / "docs")}
    assert read.keys() == {document.name for document in library.documents}
    assert len({name.rsplit(".")[-1] for name in read}) == 3
    assert len({document.style for document in library.documents}) == 4
    for statement in library.statements():
        text = read[statement.document].text[statement.start : statement.end]
        value = statement.fact.value if language == "en" else korean.value(statement.fact)
        subject = statement.fact.subject.name if language == "en" else korean.name(statement.fact.subject)
        assert value.lower() in text.lower() and subject.lower() in text.lower()
        assert text.endswith(".") and "\n" not in text
    for document in library.documents:
        places = [(s.start, s.end) for s in document.statements]
        assert places == sorted(places) and all(a[1] <= b[0] for a, b in pairwise(places))
        if not document.name.endswith(".txt"):
            assert read[document.name].title == document.title


def test_most_facts_of_an_entity_are_told_and_all_if_asked():
    library = documents(WORLD, share=1.0, telling=Telling(omitted=0.0))
    assert {s.fact for s in library.statements()} == set(WORLD.all_facts())
    some = documents(WORLD, share=1.0, telling=Telling(omitted=0.3, aside=0.0))
    assert 0.6 < len({s.fact for s in some.statements()}) / len(set(WORLD.all_facts())) < 0.8
    assert all(document.statements for document in documents(WORLD, telling=Telling(omitted=1.0)).documents)


def test_a_share_of_the_entities_has_a_document():
    library = documents(WORLD, share=0.5)
    assert len(library.documents) == round(0.5 * len(WORLD.entities))
    assert len({document.name for document in library.documents}) == len(library.documents)


def test_asides_are_about_others_and_no_part_of_the_passage():
    library = documents(WORLD, telling=Telling(aside=1.0))
    for document in library.documents:
        others = [s for s in document.statements if s.fact.subject != document.passage.entity]
        assert len(others) == 1
        assert all(s.fact is None or s.fact.subject == document.passage.entity for s in document.passage.sentences)


def test_mistakes_are_told_as_such_and_state_nothing():
    library = documents(WORLD, telling=Telling(mistaken=1.0, filler=0.0, aside=0.0))
    for document in library.documents:
        (false,) = [sentence for sentence in document.passage.sentences if sentence.fact is None]
        assert any(word in false.text for word in ("wrongly", "mistake", "false rumor"))


def test_known_and_unseen_wordings_are_kept_apart():
    for wording, other in (("known", "unseen"), ("unseen", "known")):
        library = documents(WORLD, telling=Telling(wording=wording, filler=0.0, mistaken=0.0))
        for document in library.documents:
            for sentence in document.passage.sentences:
                frames = relations()[sentence.fact.relation].statements(other)
                texts = [
                    fill(text, sentence.fact.subject.name, sentence.fact.value)
                    for f in frames
                    for text in expansions(f)
                ]
                assert sentence.text not in texts


def test_the_same_seed_writes_the_same_and_another_does_not(tmp_path):
    one, two, three = (write_documents(WORLD, tmp_path / str(n), seed) for n, seed in enumerate((1, 1, 2)))
    assert one == two != three
    contents = [{path.name: path.read_bytes() for path in (tmp_path / str(n)).iterdir()} for n in range(3)]
    assert contents[0] == contents[1] != contents[2]


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="exists and is not an empty folder"):
        write_documents(WORLD, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_file_names_are_safe_and_unique():
    taken = set()
    names = [file_name(title, ".md", taken) for title in ("The Old Bell", "the old bell", "../a:b*c", "고요한 종")]
    assert names == ["the-old-bell.md", "the-old-bell-1.md", "a-b-c.md", "고요한-종.md"]
