import pytest

from espalier.knowledge.hypertext import declared_encoding, extract

PAGE = """<!DOCTYPE html><html><head><title>The  Guide
&amp; more</title><style>p { color: red }</style><meta charset="euc-kr"></head>
<body><nav><ul><li>Home</li></ul></nav><h1>Guide</h1>
<p>Fish &amp; chips,   <b>bo</b>ld &lt;tag&gt;,
caf&eacute;<br>second line</p><script>if (a < b) { x() }</script>
<h2>Steps <i>here</i></h2><ul><li>one</li><li>two</li></ul>
<pre>  a
    b</pre><table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table></body></html>"""


def test_a_page_becomes_its_title_and_what_is_seen():
    title, text = extract(PAGE)
    assert title == "The Guide & more"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    assert lines == [
        "# Guide", "Fish & chips, bold <tag>, café", "second line", "## Steps here", "- one", "- two",
        "a", "b", "1 2", "3",
    ]  # fmt: skip
    assert "\n    b" in text  # preformatted


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("just words", ("", "just words")),
        ("<title>T</title><p>a<p>b", ("T", "a\n\nb")),  # no head, no end tags
        ("<head><title>T</title><p>a", ("T", "a")),
        ("<nav>links <main>text</main>", ("", "text")),
        ("<svg><title>icon</title></svg>text", ("", "text")),
        ("a</div></nav></p>b", ("", "a\n\nb")),
        ("<script>no end", ("", "")),
        ("<p>a</p><!-- no end", ("", "a\n\n<!-- no end")),
        ("<p>5 < 6", ("", "5 < 6")),
        ("<p>a</p><!-- hidden --><p>b</p>", ("", "a\n\nb")),
    ],
)
def test_pages_with_missing_tags(page, expected):
    title, text = extract(page)
    assert (title, text.strip()) == (expected[0], expected[1].strip())


def test_the_declared_encoding():
    assert declared_encoding(PAGE.encode()) == "euc-kr"
    assert declared_encoding(b'<meta http-equiv="Content-Type" content="text/html; charset=gb2312">') == "gb2312"
    assert declared_encoding(b'<?xml version="1.0" encoding="Shift_JIS"?>') == "Shift_JIS"
    assert declared_encoding(b"<p>charset=no</p>") == ""


def test_a_page_of_tags_that_never_end_takes_no_time():
    assert extract("<!--" * 20_000)[1] == "<!--" * 20_000
    assert extract("<b " * 20_000)[1].strip() == ("<b " * 20_000).strip()
