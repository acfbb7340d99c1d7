from espalier.knowledge.places import place

PAGES = ((0, "page 1"), (10, "page 2"), (10, "page 3"), (20, "page 4"))


def test_a_stretch_stands_where_it_begins_and_to_where_it_ends():
    assert place(PAGES, 0, 10) == "page 1"
    assert place(PAGES, 9, 11) == "page 1 to page 3"  # page 2 is blank
    assert place(PAGES, 10, 20) == "page 3"
    assert place(PAGES, 25, 30) == "page 4"


def test_what_stands_before_the_first_place_or_in_none():
    assert place((), 0, 5) == ""
    assert place(((5, "slide 1"),), 0, 5) == ""
    assert place(((5, "slide 1"),), 0, 9) == "slide 1"
