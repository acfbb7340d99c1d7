"""Writes docs/strategies_measured.md from the recorded results of `python -m benchmarks.solving`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.solving_cells import ALWAYS, CLOSED, DEPTH, FIRST, GIVEN, STRIPS, WAYS, WHOLE
from benchmarks.solving_questions import AS_IF_TRUE, CALLED_FALSE, SCATTERED, SINGLE, TWO_HOP
from espalier.maths.intervals import bootstrap, paired_bootstrap, paired_shares, wilson

Record = dict[str, Any]
FEWEST = 10  # questions that a verdict needs

INTRODUCTION = """# Searching, reranking, filtering and active retrieval, measured

Written by `python -m benchmarks.solving`, which measures all of it anew.

What each way to search and to answer brings [sprout](sprout.md), the bundled model of 5M parameters, on the *test
world*, of which it has learned no fact, in wordings that it knows. The collection has one passage of one to three facts
about each person, place, work, organization and event. A single-hop question asks for one fact; a two-hop question asks
about somebody or something that only another passage names. All questions can be answered, so an abstention is wrong.

- *exact match*: as SQuAD's script has it. *difference*: paired, on the same questions, from the table's first row.
- *abstains*: how often the answer is "not stated".
- *calls*: replies written and completions scored, so that a choice of two words is two; *tokens*: of prompts and
  replies; *searches*: by the strategy. Each is the mean for one question.
- *verdict*: "better" or "worse" where the interval of the difference leaves out 0; "no difference shown" is no proof
  that there is none. Fewer than ten questions get no verdict.

Brackets hold 95 % intervals, each for itself: Wilson's for shares, Bonett and Price's for their paired differences, the
bootstrap for means. Replies are greedy.

**What this cannot say.** Sprout answers and judges only in the words of its training. Where a method asks it in other
words, the result says what happens with a model that does not follow instructions, and nothing about one that does.
"""
NOTES = {
    "Retrieval against closed-book": "Sprout has never read of the world it is asked about, so closed-book it can only "
    "abstain or guess.",
    "Reranking": "Here a collection in which BM25 errs: about three passages for everybody and everything, all under "
    f"the same title, of which one has the fact. Of BM25's first {DEPTH} hits the best is read. *MRR* is the mean "
    "reciprocal rank of the right passage among them, with the paired difference; *first* is how often it is the "
    "first. UPR's question is one that sprout was trained on (writing a question that the passage answers); PRP's, "
    "which of two passages is better, is not. The last row scores each passage by the question of relevance that "
    "sprout was trained on.",
    "Filtering, contradictions called false": "Four passages: the right one, one about the same subject that says "
    'another value and that it is wrong ("A careless newspaper wrongly says that ..."), and two that say the same of '
    "others. The oracles are told the answer, so they bound what a filter can bring. Sprout was not trained to filter, "
    "nor to write passages anew: asked to filter it quotes and answers as ever, and what it quoted is what `filco` "
    "keeps, right or wrong; asked to write anew it answers, too, so `system2_attention` finds no two parts and asks "
    "the question as it was.",
    "Filtering, contradictions as if true": "The same, but nothing says that the wrong passage is wrong. No reader can "
    "tell which is right, nor can a filter that is not told the answer: only the oracles can help.",
    "Active retrieval, single-hop questions": "`flare` with theta 1.0 searches for every sentence. `self_rag` reads "
    "each passage by itself. Its critics, and `crag`'s evaluator in its own words, ask what sprout was not trained to "
    "say: asked whether to search it is sure that it need not, so that under a threshold `self_rag` abstains. The last "
    f"row has as evaluator the question of relevance that sprout was trained on. `crag` reads the {STRIPS} "
    "best strips (a strip is a passage of up to three sentences) and has no second source here.",
    "Active retrieval, two-hop questions": "The same ways where two passages are needed, of which the first search "
    "mostly finds one.",
}


@dataclass(frozen=True)
class Section:
    """A table: ways over one kind of questions; the first is what the others are compared with."""

    title: str
    kind: str
    ways: tuple[str, ...]
    ranked: bool = False


def named(kind: str, *words: str) -> tuple[str, ...]:
    """The ways over a kind of questions whose names begin with one of some words."""
    return tuple(way.name for way in WAYS if kind in way.kinds and way.name.startswith(words))


ACTIVE = ("flare", "self_rag", "crag")
SECTIONS = (
    Section("Retrieval against closed-book", SINGLE, (CLOSED, GIVEN, FIRST, ALWAYS)),
    Section("Reranking", SCATTERED, (FIRST, *named(SCATTERED, "BM25 +")), ranked=True),
    *(
        Section(f"Filtering, contradictions {kind}", kind, (WHOLE, *named(kind, "filco", "system2")))
        for kind in (CALLED_FALSE, AS_IF_TRUE)
    ),
    *(
        Section(f"Active retrieval, {kind} questions", kind, (ALWAYS, *named(kind, *ACTIVE)))
        for kind in (SINGLE, TWO_HOP)
    ),
)


def page(results: Record) -> str:
    """The whole page."""
    parts = [INTRODUCTION, *(written(section, results["cells"]) for section in SECTIONS), measured(results)]
    return "\n".join(parts)


def written(section: Section, cells: Record) -> str:
    """A table, over the questions that every one of its ways was asked."""
    found = {way: cells.get(f"{section.kind}: {way}", {"n": 0}) for way in section.ways}
    n = min(entry["n"] for entry in found.values())
    title = f"## {section.title}\n\n{NOTES[section.title]}\n\n"
    if not n:
        return f"{title}Nothing is recorded yet.\n"
    first = found[section.ways[0]]["values"]
    ranks = ["MRR", "first"] if section.ranked else []
    head = ["way", "exact match", "difference", *ranks, "abstains", "calls", "tokens", "searches", "verdict"]
    rows = [row(way, entry["values"], first, n, ranked=section.ranked) for way, entry in found.items()]
    lines = [head, ["---"] * len(head), *rows]
    return f"{title}n = {n}.\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def row(way: str, values: Record, first: Record, n: int, *, ranked: bool) -> list[str]:
    """The figures of one way."""
    right, before = values["exact_match"][:n], first["exact_match"][:n]
    same = values is first
    gain, verdict = ("", "") if same else shares_difference(before, right)
    ranks = []
    if ranked:
        places = values["reciprocal_rank"][:n]
        change = "" if same else f", {difference(first['reciprocal_rank'][:n], places)}"
        ranks = [f"{mean(places)}{change}", share([float(place == 1) for place in places])]
    total = {name: sum(found[:n]) / n for name, found in values.items()}
    tokens = total["prompt_tokens"] + total["completion_tokens"]
    costs = [f"{total['calls']:.1f}", f"{tokens:,.0f}", f"{total['searches']:.2f}"]
    return [way, share(right), gain, *ranks, f"{total['abstained_falsely']:.2f}", *costs, verdict]


def share(values: Sequence[float]) -> str:
    """A share with its interval."""
    found = wilson(sum(values), len(values))
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def mean(values: Sequence[float]) -> str:
    """A mean with its interval."""
    found = bootstrap(values)
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def difference(before: Sequence[float], after: Sequence[float]) -> str:
    """The paired difference of two means with its interval."""
    found = paired_bootstrap(before, after)
    return f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def shares_difference(before: Sequence[float], after: Sequence[float]) -> tuple[str, str]:
    """The paired difference of two shares with its interval, and what it shows."""
    pairs = list(zip(before, after, strict=True))
    found = paired_shares(sum(b < a for b, a in pairs), sum(b > a for b, a in pairs), len(pairs))
    verdict = "better" if found.low > 0 else "**worse**" if found.high < 0 else "no difference shown"
    verdict = verdict if len(pairs) >= FEWEST else "too few questions"
    return f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]", verdict


def summary(entry: Record) -> str:
    """What was measured so far, in a line."""
    return f"exact match {share(entry['values']['exact_match'])}"


def measured(results: Record) -> str:
    """Model, world and machine."""
    machine, most = results["machine"], max(entry["n"] for entry in results["cells"].values())
    return (
        f"## How it was measured\n\nWeights `{results['model']['weights']}`, float32; a test world of "
        f"{results['entities']:,} entities, seed {results['seed']}; at most {most} questions of a kind. "
        f"{machine['cpu']}, {machine['cores']} cores, {machine['date']}; torch {machine['torch']}, "
        f"transformers {machine['transformers']}.\n"
    )
