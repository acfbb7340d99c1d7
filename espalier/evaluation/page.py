"""The parts of an HTML page that needs nothing but itself: no script, no network, light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --text: #1c2128; --soft: #5d6673; --line: #dde1e6; --back: #ffffff; --card: #f5f7f9;
  --good: #1a7f4b; --bad: #c0392b; --ink: #2f6fb3; }
@media (prefers-color-scheme: dark) { :root { --text: #e3e6ea; --soft: #98a1ad; --line: #353b43; --back: #16191d;
  --card: #1f242a; --good: #4cc38a; --bad: #f0766a; --ink: #74aee8; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 66rem; background: var(--back); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK KR", sans-serif; }
h1 { font-size: 0.95rem; font-weight: 600; margin: 0; color: var(--soft); }
.verdict { font-size: 1.35rem; line-height: 1.4; margin: 0.4rem 0 0.6rem; font-weight: 600; }
.soft, figcaption { color: var(--soft); font-size: 0.88rem; margin: 0; }
h2 { font-size: 1.05rem; margin: 2.4rem 0 0.6rem; }
h3 { font-size: 0.88rem; margin: 1.4rem 0 0.4rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: 0.82rem; }
th, td { padding: 0.4rem 0.9rem 0.4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.facts td:first-child { width: 15rem; }
.number { text-align: right; white-space: nowrap; }
.gained, .good { color: var(--good); font-weight: 600; }
.lost, .bad { color: var(--bad); font-weight: 600; }
.sample { border: 1px solid var(--line); border-radius: 8px; margin: 0 0 1rem; overflow: hidden; }
.sample > .asked { background: var(--card); padding: 0.7rem 1rem; border-bottom: 1px solid var(--line); }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(16rem, 1fr)); }
.sides > div { padding: 0.7rem 1rem; border-right: 1px solid var(--line); min-width: 0; }
.sides > div:last-child { border-right: 0; }
.label { color: var(--soft); font-size: 0.78rem; font-weight: 600; margin-bottom: 0.2rem; }
.said { white-space: pre-wrap; overflow-wrap: anywhere; max-height: 18rem; overflow-y: auto; font-size: 0.92rem; }
details { border-top: 1px solid var(--line); padding: 0.8rem 0; }
details:last-of-type { border-bottom: 1px solid var(--line); }
summary { cursor: pointer; font-weight: 600; }
details > :nth-child(2) { margin-top: 0.9rem; }
pre { background: var(--card); padding: 0.9rem 1rem; border-radius: 8px; overflow-x: auto; font-size: 0.82rem;
  line-height: 1.5; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0.6rem 0; }
mark { background: color-mix(in srgb, var(--good) 22%, transparent); color: inherit; }
.note { background: var(--card); border-left: 3px solid var(--ink); padding: 0.6rem 0.9rem; margin: 0.9rem 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 1.4rem; }
figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; }
svg { width: 100%; height: auto; display: block; }
svg text { font-size: 11px; fill: var(--soft); }
.grid, .zero { stroke: var(--line); }
polyline { fill: none; stroke: var(--ink); stroke-width: 1.8; stroke-linejoin: round; }
polyline.faint { stroke-width: 1; opacity: 0.28; }
circle.dots { fill: var(--bad); }
.legend { font-size: 0.78rem; color: var(--soft); }
.key { margin-right: 1rem; }
.key::before { content: ""; display: inline-block; width: 0.9rem; margin-right: 0.35rem; vertical-align: middle;
  border-top: 2px solid var(--ink); }
.key.faint::before { opacity: 0.3; }
.key.dots::before { width: 7px; height: 7px; border: 0; border-radius: 50%; background: var(--bad); }
svg.span { width: 9rem; display: inline-block; vertical-align: middle; }
svg.span line { stroke: currentColor; stroke-width: 2; }
svg.span line.zero { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 2; }
svg.span circle { fill: currentColor; }
@media (max-width: 46rem) { table { display: block; overflow-x: auto; } .sides > div { border-right: 0; } }
@media print { .said { max-height: none; } }
"""

POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(title: str, *parts: str) -> str:
    """A whole page."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(filter(None, parts))
        + "\n</body>\n</html>\n"
    )


def tag(name: str, content: str, css: str = "", more: str = "") -> str:
    """An element around HTML."""
    kind = f' class="{css}"' if css else ""
    return f"<{name}{kind}{more}>{content}</{name}>"


def text(content: object, name: str = "span", css: str = "") -> str:
    """An element around a text, whatever stands in it."""
    return tag(name, escape(str(content)), css, ' dir="auto"')


def table(head: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]], css: str = "") -> str:
    """A table: column titles with a class each, and cells that are HTML."""
    titles = "".join(tag("th", escape(title), css) for title, css in head)
    lines = ["".join(tag("td", cell, css) for (_, css), cell in zip(head, row, strict=True)) for row in rows]
    top = tag("thead", tag("tr", titles)) if any(title for title, _ in head) else ""
    return tag("table", top + tag("tbody", "".join(tag("tr", line) for line in lines)), css) if lines else ""


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Labels and what they label."""
    return table([("", ""), ("", "")], [(text(label, css="soft"), text(fact)) for label, fact in pairs], "facts")


def folded(summary: str, *parts: str) -> str:
    """A part of the page that opens when asked; nothing if it is empty."""
    content = "".join(parts)
    return f"<details><summary>{escape(summary)}</summary>{content}</details>" if content else ""
