"""When a reply counts as right: functions of all replies to one prompt, and of what is known of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from espalier import citing, reading
from espalier.contracts import Hit, Row
from espalier.maths.answers import exact_match
from espalier.world import instructions, reviews, sums

Grade = Callable[[Sequence[str]], bool]


def matches(replies: Sequence[str], *, answers: Sequence[str], language: str) -> bool:
    """Exact match of the (first) reply's answer."""
    return exact_match(reading.read(replies[0]).answer, answers, language) == 1.0


def abstains(replies: Sequence[str]) -> bool:
    """Whether the (first) reply says that nothing is stated."""
    return reading.read(replies[0]).abstained


def quoted(replies: Sequence[str], *, quotes: Sequence[str]) -> bool:
    """Whether the (first) reply quotes these sentences, in any order."""
    return sorted(reading.read(replies[0]).quotes) == sorted(quotes)


def verified(replies: Sequence[str], *, hits: Sequence[Hit]) -> bool:
    """Whether the reply quotes, and nothing but what it was shown; an abstention need not quote."""
    found = reading.read(replies[0])
    cited = citing.cite(found.quotes, hits)
    return found.abstained or (bool(cited) and all(citation.verified for citation in cited))


def solved(replies: Sequence[str], *, answer: str) -> bool:
    """Whether one of the replies has the right answer."""
    return any(sums.check(reply, answer) for reply in replies)


def derived(replies: Sequence[str], *, answer: str) -> bool:
    """Whether the (first) reply has it, and true steps that lead there."""
    return sums.steps_right(replies[0]) and sums.check(replies[0], answer)


def elected(replies: Sequence[str], *, answer: str) -> bool:
    """Whether the commonest answer is right."""
    return majority(replies) == answer


def majority(replies: Sequence[str]) -> str:
    """The commonest final answer; of equally common ones the first."""
    return Counter(reading.read(reply).answer.removesuffix(".") for reply in replies).most_common(1)[0][0]


def same(replies: Sequence[str], *, right: bool) -> bool:
    """What does not depend on the reply."""
    return right


def says(replies: Sequence[str], *, word: str) -> bool:
    """Whether the (first) reply is this word."""
    return replies[0].strip().casefold() == word


def followed(replies: Sequence[str], *, row: Row) -> bool:
    """Whether the (first) reply does what was asked."""
    return instructions.followed(row, replies[0])


def happy(replies: Sequence[str]) -> bool:
    """Whether the (first) reply praises more than it blames."""
    return reviews.mood_of(replies[0]) > 0


def polite(replies: Sequence[str]) -> bool:
    """Whether the (first) reply is polite."""
    return reviews.politeness_of(replies[0]) > 0


def heeded(replies: Sequence[str], *, asks: Sequence[str]) -> bool:
    """Whether the (first) reply has the mood and manner asked for."""
    return reviews.heeded(asks, replies[0])
