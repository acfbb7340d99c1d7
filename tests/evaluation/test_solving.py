"""One pipeline over questions: scores, what is counted, and going on where it ended."""

import pytest

from espalier.contracts import Answer, Citation, Hit
from espalier.evaluation.citations import ContentWords
from espalier.evaluation.searching import Depth, Question, Wanted
from espalier.evaluation.solving import Kept, Outcome, Remembered, Solver, answer_scores
from espalier.lm.scripted import Scripted
from espalier.rag.retrieve_then_read import RetrieveThenRead

HITS = [Hit("a.md", 2.0, "Belmi was born in Kastel."), Hit("b.md", 1.0, "The mill burned.")]
ASKED = Question("q1", "Where was Belmi born?", (Wanted("a.md"),), ("Kastel",), "en", "en")


class Two:
    """A retriever that has two hits for anything, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def search(self, query, k):
        self.asked.append((query, k))
        return HITS[:k]

    def explain(self, query, hit):
        return (("all", hit.score),)


def test_a_search_is_made_once_however_often_it_is_asked_for():
    two = Two()
    found = Remembered(two)
    assert found.search("x", 2) == HITS and found.search("x", 1) == HITS[:1] and found.searches == 1
    found.search("x", 3)
    assert two.asked == [("x", 2), ("x", 3)] and found.explain("x", HITS[0]) == (("all", 2.0),)
    found.forget()
    found.search("x", 1)
    assert found.searches == 1 and len(two.asked) == 3


def test_a_search_alone_is_measured_and_asks_nobody():
    found = Solver(Two(), depth=Depth(k=1, depth=2)).solve(ASKED)
    assert found.scores["ndcg@10"] == found.scores["recall@1"] == 1.0 and found.answer is None
    assert found.spent == {"searches": 1} and [hit["document"] for hit in found.hits] == ["a.md", "b.md"]


def test_an_answer_is_measured_with_what_it_took():
    two, lm = Two(), Scripted("Quote: Belmi was born in Kastel.\nAnswer: Kastel")
    solver = Solver(two, lambda search: RetrieveThenRead(lm, search, k=2), depth=Depth(), judge=ContentWords())
    found = solver.solve(ASKED)
    assert found.answer == "Kastel" and two.asked == [(ASKED.text, 100)]
    wanted = ("exact_match", "f1", "citation_recall", "citation_precision")
    assert [found.scores[name] for name in wanted] == [1.0] * 4
    assert found.spent["calls"] == found.spent["searches"] == 1 and found.citations[0]["verified"]


@pytest.mark.parametrize(
    ("answers", "text", "scores"),
    [
        (("Kastel",), "not stated", {"exact_match": 0, "f1": 0, "abstained_falsely": 1}),
        (("in Kastel",), "Kastel", {"exact_match": 0, "f1": 2 / 3, "abstained_falsely": 0}),
        ((), "Not stated.", {"abstained": 1}),
        ((), "Kastel", {"abstained": 0}),
        (None, "Kastel", {}),
    ],
)
def test_formula_answers_and_abstentions(answers, text, scores):
    assert answer_scores(Question("q", "?", (), answers), Answer(text)) == pytest.approx(scores)


def test_what_is_cited_counts_only_where_something_is_said():
    cited = Answer("Kastel", (Citation("made up"),))
    assert answer_scores(ASKED, cited, ContentWords())["citation_precision"] == 0
    assert "citation_recall" not in answer_scores(ASKED, Answer("not stated"), ContentWords())


def test_outcomes_are_kept_question_by_question(tmp_path):
    file, about = tmp_path / "new" / "bm25.jsonl", {"k": 5, "path": tmp_path}
    other = Question("q2", "Who?")
    kept = Kept(file, about)
    assert kept.missing([ASKED, other]) == [ASKED, other] and not file.exists()
    outcome = Outcome("q1", {"f1": 1.0}, 0.5, {"calls": 1})
    kept.add(ASKED, outcome)
    again = Kept(file, about)
    assert again.missing([ASKED, other]) == [other] and again.outcomes([ASKED, other]) == {"q1": outcome}
    changed = Question("q1", "Where was she born?")
    assert again.missing([changed]) == [changed] and again.outcomes([changed]) == {}


def test_a_line_that_was_cut_off_is_done_again(tmp_path):
    kept = Kept(tmp_path / "one.jsonl", {})
    kept.add(ASKED, Outcome("q1", {}, 0.1))
    with kept.file.open("a", encoding="utf-8") as out:
        out.write('{"question": "x", "outc')
    again = Kept(kept.file, {})
    again.add(Question("q2", "Who?"), Outcome("q2", {}, 0.1))
    assert set(Kept(kept.file, {}).outcomes([ASKED, Question("q2", "Who?")])) == {"q1", "q2"}


def test_outcomes_of_other_options_are_not_taken(tmp_path):
    Kept(tmp_path / "one.jsonl", {"k": 5}).add(ASKED, Outcome("q1", {}, 0.1))
    other = Kept(tmp_path / "one.jsonl", {"k": 6})
    assert other.missing([ASKED]) == [ASKED]
    other.add(ASKED, Outcome("q1", {}, 0.2))
    assert Kept(tmp_path / "one.jsonl", {"k": 6}).outcomes([ASKED])["q1"].seconds == 0.2
