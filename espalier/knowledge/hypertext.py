"""The text of an HTML page: what a reader would see of it, with headings written as in Markdown."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_UNSEEN = {"head", "script", "style", "nav", "template", "noscript", "svg", "math", "select", "button"}
_CONTENT = {"body", "main", "article"}  # whatever was left open before them is over
_HEADINGS = {f"h{level}": f"\n\n{'#' * level} " for level in range(1, 7)}
_PARAGRAPHS = {
    "address", "article", "aside", "blockquote", "body", "details", "div", "dl", "fieldset", "figcaption", "figure",
    "footer", "form", "header", "hr", "main", "ol", "p", "pre", "section", "summary", "table", "ul",
}  # fmt: skip
_LINES = {"br": "\n", "dd": "\n", "dt": "\n", "li": "\n- ", "option": "\n", "tr": "\n"}
_CELLS = {"td", "th"}
_SPACE = re.compile(r"[ \t\n\r\f\v]+")
_DECLARED = re.compile(rb"<(?:meta\b[^>]*\bcharset\s*=|\?xml\b[^>]*\bencoding\s*=)[\s\"']*([\w-]+)", re.IGNORECASE)


def declared_encoding(data: bytes) -> str:
    """The encoding a page names for itself; "" if none."""
    found = _DECLARED.search(data[:4096])
    return found[1].decode() if found else ""


def extract(page: str) -> tuple[str, str]:
    """Title and text of a page; entities are decoded, scripts, styles and navigation left out."""
    for opening, closing in (("<!--", "-->"), ("<", ">")):  # what is never closed is looked for again and again
        before, closed, rest = page.rpartition(closing)
        page = before + closed + rest.replace(opening, opening.replace("<", "&lt;"))
    parser = _Page()
    parser.feed(page)
    parser.close()
    return _SPACE.sub(" ", parser.title).strip(), parser.text()


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self._parts: list[str] = []
        self._unseen: list[str] = []  # the open elements whose content is not shown, outermost first
        self._preformatted = self._titled = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _CONTENT:
            self._unseen.clear()
        elif self._unseen == ["head"] and (tag in _PARAGRAPHS or tag in _HEADINGS):
            self._unseen.clear()  # the end tag of head may be left out
        if tag in _UNSEEN:
            self._unseen.append(tag)
        self._titled = tag == "title" and self._unseen[-1:] in ([], ["head"]) and not self.title
        if self._unseen:
            return
        self._preformatted = self._preformatted or tag == "pre"
        if tag in _HEADINGS or tag in _LINES:
            self._parts.append(_HEADINGS.get(tag) or _LINES[tag])
        elif tag in _PARAGRAPHS:
            self._parts.append("\n\n")
        elif tag in _CELLS:
            self._parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._titled = self._titled and tag != "title"
        if tag in self._unseen:
            del self._unseen[self._unseen.index(tag) :]
        elif not self._unseen and (tag in _PARAGRAPHS or tag in _HEADINGS):
            self._preformatted = self._preformatted and tag != "pre"
            self._parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        if self._titled:
            self.title += data
        elif not self._unseen:
            self._parts.append(data if self._preformatted else _SPACE.sub(" ", data))

    def text(self) -> str:
        """What was seen, without spaces beside line breaks and with one blank line between paragraphs."""
        lines = "".join(self._parts).replace("\r\n", "\n").split("\n")
        return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines)).strip("\n")
