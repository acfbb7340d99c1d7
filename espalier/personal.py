"""Counting what looks like personal data, so that nobody trains on it unawares. Patterns, not proof."""

from __future__ import annotations

import re

KINDS = {
    "email addresses": re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b"),
    "phone numbers": re.compile(
        r"(?<![\w.-])(?<!\d )(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)[ .-]?|\d{2,4}[ .-])\d{3,4}[ .-]\d{4}(?![\w-]| \d)"
    ),
    "card numbers": re.compile(r"(?<![\d-])(?:\d[ -]?){13,19}(?![\d-])"),
    "Korean resident numbers": re.compile(r"(?<!\d)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])-[1-4]\d{6}(?!\d)"),
}


def luhn(digits: str) -> bool:
    """Whether a card number's check digit fits."""
    numbers = [int(d) for d in reversed(digits)]
    return (sum(numbers[::2]) + sum(sum(divmod(2 * n, 10)) for n in numbers[1::2])) % 10 == 0


def count(text: str) -> dict[str, int]:
    """How many of each kind a text has."""
    found = {}
    for kind, pattern in KINDS.items():
        hits = pattern.findall(text)
        if kind == "card numbers":
            hits = [hit for hit in hits if luhn(re.sub(r"\D", "", hit))]
        if hits:
            found[kind] = len(hits)
    return found
