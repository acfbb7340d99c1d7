"""Instructions that can be checked: copy, sort, count, spell and the like, on a few ordinary words."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from espalier.contracts import Row
from espalier.errors import RecipeError, unknown
from espalier.world.wordings import Wording, pick, worded, words


@dataclass(frozen=True)
class Given:
    """What an instruction speaks of: a text of several words, two other words and a number."""

    text: tuple[str, ...]
    word: str  # one of the text
    other: str  # none of the text
    n: int


@dataclass(frozen=True)
class Instruction:
    """One kind: how it is asked for, one right reply, and what makes others right as well.

    Args:
        asked: wordings; {text}, {word}, {other} and {n} are filled in.
        unseen: wordings kept out of training.
        reply: a right reply.
        right: whether a reply is right, where it need not be that one: the reply's words, and the row.
    """

    asked: tuple[str, ...]
    unseen: tuple[str, ...]
    reply: Callable[[Given], str]
    right: Callable[[Sequence[str], Mapping[str, Any]], bool] | None = None


def rows(
    count: int, draw: random.Random, *, size: tuple[int, int] = (2, 6), wording: Wording = "known",
    kinds: Sequence[str] = (),
) -> Iterator[Row]:  # fmt: skip
    """Instructions with right replies: `prompt`, `completion`, `kind`, and `n` and `word` where the checker needs them.

    Args:
        count: how many.
        draw: where chance comes from.
        size: fewest and most words of the text.
        wording: known wordings, or those kept out of training.
        kinds: names of the kinds to draw from; all if not given.

    Raises:
        RecipeError: there is no such kind.
    """
    for name in kinds:
        if name not in KINDS:
            raise RecipeError(unknown("kind of instruction", name, KINDS))
    for _ in range(count):
        kind = draw.choice(tuple(kinds) or tuple(KINDS))
        made, things = KINDS[kind], given(draw, size)
        frame = pick(draw.choice(worded(made.asked, made.unseen, wording)), draw)
        prompt = frame.format(text=" ".join(things.text), word=things.word, other=things.other, n=things.n)
        row = Row(prompt=prompt, completion=made.reply(things), kind=kind)
        if made.right is not None:
            row |= {"n": things.n, "word": things.other}
        yield row


def followed(row: Mapping[str, Any], completion: str) -> bool:
    """Whether a completion does what the row asks; outer space and the number of spaces between words are free."""
    right = KINDS[row["kind"]].right
    found = completion.split()
    return found == str(row["completion"]).split() if right is None else right(found, row)


def spoiled(row: Mapping[str, Any], draw: random.Random) -> str:
    """A wrong reply that looks like the right one: a word is lost, said twice, or replaced by one of the prompt."""
    while True:
        found = str(row["completion"]).split()
        place = draw.randrange(len(found))
        other = draw.choice(str(row["prompt"]).split()).strip(".,:?")
        found[place : place + 1] = draw.choice(([], [found[place]] * 2, [other]))
        if found and not followed(row, " ".join(found)):
            return " ".join(found)


def given(draw: random.Random, size: tuple[int, int]) -> Given:
    """Different words, of which one is longer than all others."""
    while True:
        *text, other = draw.sample(ordinary(), draw.randint(*size) + 1)
        lengths = sorted(map(len, text))
        if len(text) == 1 or lengths[-1] > lengths[-2]:
            return Given(tuple(text), draw.choice(text), other, draw.randint(2, 5))


@cache
def ordinary() -> tuple[str, ...]:
    """Words to work on."""
    found = (word for name in ("plain", "thing", "aspect", "occupation") for word in words()[name])
    return tuple(dict.fromkeys(word for word in found if word.isalpha()))


KINDS: dict[str, Instruction] = {
    "copy": Instruction(
        ("[Copy|Repeat] this text: {text}", "Write exactly the same: {text}", "Say this again: {text}"),
        ("Copy without any change: {text}",),
        lambda given: " ".join(given.text),
    ),
    "capitals": Instruction(
        ("Write in capitals: {text}", "[Put|Write] this text in capital letters: {text}"),
        ("Use only capital letters: {text}",),
        lambda given: " ".join(given.text).upper(),
    ),
    "first_word": Instruction(
        ("What is the first word of: {text}", "[Give|Write] the first word of this text: {text}"),
        ("Which word comes first? {text}",),
        lambda given: given.text[0],
    ),
    "last_word": Instruction(
        ("What is the last word of: {text}", "[Give|Write] the last word of this text: {text}"),
        ("Which word comes last? {text}",),
        lambda given: given.text[-1],
    ),
    "count_words": Instruction(
        ("How many words are in this text: {text}", "Count the words: {text}"),
        ("What is the number of words? {text}",),
        lambda given: str(len(given.text)),
    ),
    "sort": Instruction(
        ("Sort the words alphabetically: {text}", "[Put|Write] these words in alphabetical order: {text}"),
        ("Order the words from a to z: {text}",),
        lambda given: " ".join(sorted(given.text)),
    ),
    "reverse": Instruction(
        ("Reverse the order of the words: {text}", "[Write|Say] these words from last to first: {text}"),
        ("Turn the order of the words around: {text}",),
        lambda given: " ".join(reversed(given.text)),
    ),
    "commas": Instruction(
        ("Join the words with commas: {text}", "[Put|Write] commas between the words: {text}"),
        ("Make a list with commas: {text}",),
        lambda given: ", ".join(given.text),
    ),
    "longest": Instruction(
        ("What is the longest word of: {text}", "[Give|Write] the longest word: {text}"),
        ("Which word has the most letters? {text}",),
        lambda given: max(given.text, key=len),
    ),
    "replace": Instruction(
        ("Replace {word} by {other}: {text}", "Write {other} in place of {word}: {text}"),
        ("Change the word {word} to {other}: {text}",),
        lambda given: " ".join(given.other if word == given.word else word for word in given.text),
    ),
    "repeat": Instruction(
        ("[Repeat|Write|Say] the word {word} {n} times.", "{n} times the word {word}, please."),
        ("Give me the word {word} {n} times.",),
        lambda given: " ".join([given.word] * given.n),
    ),
    "hyphens": Instruction(
        ("Spell {word} with hyphens.", "[Write|Put] hyphens between the letters of {word}."),
        ("How is {word} spelled with hyphens?",),
        lambda given: "-".join(given.word),
    ),
    "exactly": Instruction(
        ("[Answer|Reply] in exactly {n} words: what do you see?", "Write exactly {n} words."),
        ("Give me a text of exactly {n} words.",),
        lambda given: " ".join((given.text * given.n)[: given.n]),
        lambda found, row: len(found) == row["n"],
    ),
    "holding": Instruction(
        ("Write {n} words, one of them {other}.", "[Write|Say] exactly {n} words with the word {other} among them."),
        ("Give me {n} words that include {other}.",),
        lambda given: " ".join((*(given.text * given.n)[: given.n - 1], given.other)),
        lambda found, row: len(found) == row["n"] and row["word"] in [word.strip(".,") for word in found],
    ),
}
