"""What the bundled model is asked on the test world, and what is measured in its replies."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks import sprout_grades as grades
from benchmarks.sprout_grades import Grade
from espalier import reading
from espalier.contracts import LM, Hit
from espalier.knowledge.chunks import cut
from espalier.knowledge.documents import parse
from espalier.rag.retrieve_then_read import RetrieveThenRead
from espalier.retrievers.bm25 import BM25
from espalier.world import beir, instructions, judging, reviews, sums
from espalier.world.document_questions import question_rows
from espalier.world.documents import Library, Telling, documents
from espalier.world.facts import World
from espalier.world.questions import Mixture, Question, context
from espalier.world.tongues import Language
from espalier.world.wordings import Wording

SAMPLES = 16  # that vote
WARM = 0.8  # their temperature


@dataclass(frozen=True)
class Case:
    """A prompt, and what is measured in the replies to it; what does not apply to this prompt is left out."""

    prompt: str
    grades: Mapping[str, Grade]


@dataclass(frozen=True)
class Setting:
    """What cases are made from."""

    world: World
    lm: LM
    n: int
    seed: int
    wording: Wording = "known"

    def draw(self, what: str) -> random.Random:
        """Chance of its own for each kind of case."""
        return random.Random(f"{what} {self.wording} {self.seed}")


def passages(s: Setting, kind: str, count: int, *, shown: bool = True) -> list[Case]:
    """Questions about passages that all state the same relations: a right one and hard distractors."""
    mixture = Mixture(passages=(count, count), questions=1, hard=1.0, kinds=((kind, 1.0),), wording=s.wording)
    draw, found = s.draw(f"{kind} {count}"), []
    while len(found) < s.n:
        made = context(s.world, draw, mixture)
        for question in made.questions:
            if question.kind == kind:  # a context that cannot carry the kind asks another
                prompt = reading.prompt(question.text, made.shown() if shown else ())
                found.append(Case(prompt, answering(question, shown=shown)))
    return found


def answering(question: Question, *, shown: bool) -> dict[str, Grade]:
    """Right, rightly quoted, or an abstention, which is wrong only where the passages tell."""
    if not question.quotes:
        return {"abstains": grades.abstains}
    right: Grade = partial(grades.matches, answers=[question.answer], language="en")
    if not shown:
        return {"exact match": right, "abstains": grades.abstains}
    return {
        "exact match": right,
        "quote exact": partial(grades.quoted, quotes=question.quotes),
        "falsely abstains": grades.abstains,
    }


def searched(s: Setting, language: Language) -> list[Case]:
    """Questions over whole documents; of all their pieces BM25 finds four."""
    library = told_in(language, s)
    strategy = RetrieveThenRead(s.lm, BM25().index(list(pieces(library))))
    found = []
    for row in question_rows(library, s.n, s.seed):
        asked = strategy.ask(row["question"])
        if not row["answers"]:
            found.append(Case(asked.prompt, {"abstains": grades.abstains}))
            continue
        gold = set(row["gold"]) <= {hit.document for hit in asked.hits}
        measured: dict[str, Grade] = {
            "right documents found": partial(grades.same, right=gold),
            "exact match": partial(grades.matches, answers=row["answers"], language=language),
            "falsely abstains": grades.abstains,
            "every quote stands in a passage": partial(grades.verified, hits=asked.hits),
        }
        if gold:
            measured["exact match, right documents found"] = measured["exact match"]
        found.append(Case(asked.prompt, measured))
    return found


def told_in(language: Language, s: Setting) -> Library:
    """The documents of the world."""
    return documents(s.world, s.seed, language=language, telling=Telling(wording=s.wording))


def pieces(library: Library) -> Iterator[Hit]:
    """The documents as they are read and cut for an index."""
    for document in library.documents:
        text = parse(document.content.encode(), document.name).text
        for chunk in cut(text, title=document.title):
            yield Hit(document.name, 0.0, text[chunk.start : chunk.end], chunk.title, chunk.start)


def given(s: Setting, language: Language, distractors: int) -> list[Case]:
    """Questions over documents, with the right excerpts and some distractors in the prompt."""
    found = []
    for row in question_rows(told_in(language, s), s.n, s.seed, distractors=distractors):
        prompt = reading.prompt(row["question"], [(part["title"], part["text"]) for part in row["passages"]])
        right = partial(grades.matches, answers=row["answers"], language=language)
        measured = {"exact match": right, "falsely abstains": grades.abstains}
        if not row["answers"]:
            measured = {"abstains": grades.abstains}
        found.append(Case(prompt, measured))
    return found


def reckoning(s: Setting, *, voted: bool = False) -> list[Case]:
    """Sums with steps; samples of one sum may vote."""
    found = []
    for row in sums.rows(s.world, s.n, s.draw("sums"), wording=s.wording):
        once: dict[str, Grade] = {
            "answer right": partial(grades.solved, answer=row["answer"]),
            "steps and answer right": partial(grades.derived, answer=row["answer"]),
        }
        often: dict[str, Grade] = {
            f"majority of {SAMPLES}": partial(grades.elected, answer=row["answer"]),
            f"right at least once in {SAMPLES}": partial(grades.solved, answer=row["answer"]),
        }
        found.append(Case(row["prompt"], often if voted else once))
    return found


def asking(s: Setting) -> list[Case]:
    """Questions to write for passages, which BM25 should then find: that passage, or one about the same entity."""
    found = beir.search(s.world, s.n, s.seed, wording=s.wording)
    hits = [Hit(name, 0.0, part.text, found.title(name)) for name, part in found.passages.items()]
    index, own = BM25().index(hits), dict(zip(found.passages, beir.doc2query(found, s.seed), strict=True))

    def first(queries: Sequence[str], *, name: str) -> bool:
        return [hit.document for hit in index.search(queries[0], 1)] == [name]

    def near(queries: Sequence[str], *, name: str) -> bool:
        return any(
            found.passages[hit.document].entity == found.passages[name].entity for hit in index.search(queries[0], 1)
        )

    cases = []
    for name in s.draw("queries").sample(sorted(found.passages), s.n):
        measured = {
            "its document is found first": partial(near, name=name),
            "its passage is found first": partial(first, name=name),
            "the passage, of the world's own": partial(grades.same, right=first(own[name]["queries"], name=name)),
        }
        cases.append(Case(judging.query_prompt(found.passages[name].text), measured))
    return cases


def judged(s: Setting) -> list[Case]:
    """Whether a passage answers a question; half do, and most that do not come close."""
    found = []
    for row in judging.relevance_rows(s.world, s.n, s.draw("relevance"), wording=s.wording):
        right = partial(grades.says, word=row["completion"])
        found.append(Case(row["prompt"], {"accuracy": right, f"right where it is {row['completion']}": right}))
    return found


def told(s: Setting) -> list[Case]:
    """Instructions of all kinds."""
    rows = instructions.rows(s.n, s.draw("instructions"), wording=s.wording)
    return [Case(row["prompt"], {"followed": partial(grades.followed, row=row)}) for row in rows]


def untold(s: Setting) -> list[Case]:
    """Reviews of which no mood and no manner is asked."""
    measured: dict[str, Grade] = {"happy": grades.happy, "polite": grades.polite}
    return [Case(row["prompt"], measured) for row in reviews.reviews(s.world, s.n, s.draw("reviews"), asked=0.0)]


def welcomed(s: Setting) -> list[Case]:
    """What is said at the door."""
    return [
        Case(row["prompt"], {"polite": grades.polite}) for row in reviews.greetings(s.world, s.n, s.draw("greetings"))
    ]


def heeding(s: Setting) -> list[Case]:
    """Reviews of a mood, a manner or both."""
    rows = reviews.reviews(s.world, s.n, s.draw("asked reviews"), asked=1.0)
    return [Case(row["prompt"], {"as asked": partial(grades.heeded, asks=row["asks"])}) for row in rows]


@dataclass(frozen=True)
class Task:
    """Prompts of one kind, and how they are answered; temperature 0 is greedy."""

    group: str
    name: str
    cases: Callable[[Setting], Sequence[Case]]
    wordings: tuple[Wording, ...] = ("known", "unseen")
    max_tokens: int = 160
    temperature: float = 0.0
    samples: int = 1
    most: int | None = None  # cases, where replies are long


READING, WHOLE, KOREAN = "Reading", "Whole documents", "Korean"
JUDGING, ALIGNED = "Judging and asking", "Mood and manner before alignment"
TASKS = (
    Task(READING, "the right passage only", partial(passages, kind="single", count=1)),
    Task(READING, "3 hard distractors", partial(passages, kind="single", count=4)),
    Task(READING, "7 hard distractors", partial(passages, kind="single", count=8)),
    Task(READING, "closed-book", partial(passages, kind="single", count=1, shown=False)),
    Task(READING, "unanswerable, 4 passages", partial(passages, kind="unanswerable", count=4)),
    Task(READING, "two-hop, 4 passages", partial(passages, kind="two_hop", count=4)),
    Task(READING, "comparison, 4 passages", partial(passages, kind="comparison", count=4)),
    Task(READING, "yes or no, 4 passages", partial(passages, kind="yes_no", count=4)),
    Task(WHOLE, "4 passages by BM25", partial(searched, language="en"), max_tokens=200),
    Task(KOREAN, "the right passages only", partial(given, language="ko", distractors=0), max_tokens=256, most=100),
    Task(KOREAN, "4 passages by BM25", partial(searched, language="ko"), max_tokens=256, most=100),
    Task("Sums", "greedy", reckoning, max_tokens=96),
    Task("Sums", "voted", partial(reckoning, voted=True), max_tokens=96, temperature=WARM, samples=SAMPLES),
    Task(JUDGING, "questions written", asking, max_tokens=64),
    Task(JUDGING, "relevance", judged, max_tokens=8),
    Task("Instructions", "all kinds", told, max_tokens=64),
    Task(ALIGNED, "reviews, nothing asked", untold, ("known",), max_tokens=128, temperature=1.0),
    Task(ALIGNED, "greetings, nothing asked", welcomed, ("known",), max_tokens=64, temperature=1.0),
    Task(ALIGNED, "reviews, mood or manner asked", heeding, ("known",), max_tokens=128),
)
