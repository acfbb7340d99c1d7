from espalier.knowledge.headings import first_heading, sections

GUIDE = "Before.\n\n# Guide\n\n## Installing\n\nRun it.\n\n```sh\n# no heading\n```\n\nOld style\n---------\n\nThe end."


def test_the_first_heading():
    assert first_heading(GUIDE) == "Guide"
    assert first_heading("A title\n=======\n\ntext") == "A title"
    assert first_heading("---\ntitle: x\n---\n\n#hashtag\n\n| a |\n|---|\n") == ""


def test_sections_cover_the_text_and_know_the_headings_above():
    found = list(sections(GUIDE))
    assert [path for *_, path in found] == [(), ("Guide", "Installing"), ("Guide", "Old style")]
    assert "".join(GUIDE[start:end] for start, end, _ in found) == GUIDE
