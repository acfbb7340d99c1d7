"""What is shown beside a question, condition by condition."""

import pytest

from espalier.contracts import Hit, Row
from espalier.errors import RecipeError, RowError
from espalier.evaluation.conditions import Condition, closed, distracted, parse_conditions, retrieved, show_of
from espalier.evaluation.questions import passages_of
from tests.evaluation.asked import BELMI, OTHERS, Fixed, row


def test_conditions_are_read_as_written():
    found = parse_conditions("closed, given,distractors=3")
    assert found == [Condition("closed"), Condition("given"), Condition("distractors", 3)]
    assert [condition.name for condition in found] == ["closed", "given", "distractors=3"]
    assert [Condition("distractors", n).words for n in (1, 2)] == ["with 1 distractor", "with 2 distractors"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("clsed", "Did you mean 'closed'"),
        ("", "no condition named ''"),
        ("distractors", "say how many"),
        ("distractors=0", "say how many"),
        ("distractors=x", "say how many"),
        ("given=3", "given takes no number"),
        ("given,given", "each stands once"),
    ],
)
def test_conditions_that_cannot_be(text, sentence):
    with pytest.raises(RecipeError, match=sentence):
        parse_conditions(text)


def test_closed_shows_nothing_and_still_knows_that_gold_is_known():
    shown, scores = closed(row(passages=[BELMI], gold=[0]))
    assert (shown["passages"], shown["gold"], scores) == ([], [], {})
    with pytest.raises(RowError, match="no question"):
        closed(Row(prompt="p", completion="c"))


def test_formula_retrieval_is_measured_against_gold():
    # two gold passages; the first is third among the hits, the second is not found: recall 1/2, reciprocal rank 1/3
    asked = row(gold=["belmi", "kastel"], passages=[BELMI])
    hits = [Hit("a", 3.0, "x"), Hit("b", 2.0, "y"), Hit("people.jsonl#belmi", 1.0, "z", title="T")]
    shown, scores = retrieved(Fixed(*hits), 4)(asked)
    assert scores == {"recall": (0.5, 1.0), "reciprocal_rank": (pytest.approx(1 / 3, rel=1e-12), 1.0)}
    assert [(p.text, p.title, p.id, p.gold) for p in passages_of(shown)][2] == ("z", "T", "people.jsonl#belmi", True)
    _, scores = retrieved(Fixed(*hits), 2)(asked)
    assert scores == {"recall": (0.0, 1.0), "reciprocal_rank": (0.0, 1.0)}


@pytest.mark.parametrize(
    ("document", "text", "gold"),
    [
        ("belmi", "x", True),
        ("belmi.md", "x", True),
        ("else", "born  in\nKastel", True),
        ("else", f"Before. {BELMI['text']} After.", True),
        ("belmi2", "x", False),
        ("else", "", False),
    ],
)
def test_a_hit_holds_the_answer_by_its_document_or_its_text(document, text, gold):
    asked = row(passages=[BELMI], gold=[0])
    _, scores = retrieved(Fixed(Hit(document, 1.0, text)), 1)(asked)
    assert scores["recall"] == (float(gold), 1.0)


def test_retrieval_without_gold_is_shown_and_not_measured():
    shown, scores = retrieved(Fixed(Hit("a", 1.0, "x")), 4)(row())
    assert scores == {} and shown["passages"] == [{"text": "x", "id": "a"}] and "gold" not in shown
    shown, scores = retrieved(Fixed(), 4)(row(gold=["b"]))
    assert shown["passages"] == [] and scores["recall"] == (0.0, 1.0)


def test_distractors_are_the_rows_own_first_then_those_of_others():
    asked = row(passages=[BELMI, OTHERS[0]], gold=[0], distractors=[OTHERS[1]])
    rows = [asked, row("q2", passages=OTHERS, gold=[4]), row("q3", passages=[BELMI], gold=[0])]
    show = distracted(rows, 3, 0)
    texts = [p.text for p in passages_of(show(asked)[0])]
    assert len(texts) == len(set(texts)) == 4
    assert {BELMI["text"], OTHERS[0]["text"], OTHERS[1]["text"]} < set(texts)
    assert [p.text for p in passages_of(show(asked)[0]) if p.gold] == [BELMI["text"]]
    assert show(asked)[0] == distracted(rows, 3, 0)(asked)[0]
    assert any(show(asked)[0] != distracted(rows, 3, seed)(asked)[0] for seed in range(1, 6))


def test_property_the_number_of_passages_does_not_betray_what_cannot_be_answered():
    rows = [row(f"q{n}", passages=[passage], gold=[0]) for n, passage in enumerate(OTHERS)]
    rows.append(row("unknown?", passages=[OTHERS[0]], gold=[], answerable=False))
    show = distracted(rows, 3, 1)
    assert {len(show(asked)[0]["passages"]) for asked in rows} == {4}


def test_another_excerpt_of_the_document_with_the_answer_distracts_nobody():
    rows = [row("q", passages=[{"text": "Kastel again.", "id": "belmi"}, OTHERS[0]], gold=[0])]
    shown, _ = distracted(rows, 1, 0)(row(passages=[BELMI], gold=["belmi"]))
    assert {p.text for p in passages_of(shown)} == {BELMI["text"], OTHERS[0]["text"]}


def test_distractors_need_gold_and_enough_passages():
    with pytest.raises(RowError, match="'gold' does not say"):
        distracted([], 1, 0)(row(passages=[BELMI]))
    with pytest.raises(RowError, match="fewer than 2 passages"):
        distracted([row(passages=["p", BELMI], gold=[1])], 2, 0)(row(passages=[BELMI, "p"], gold=[0]))
    show = distracted([row(passages="broken"), row("q", passages=[OTHERS[0]])], 1, 0)
    assert len(show(row(passages=[BELMI], gold=[0], distractors=3))[0]["passages"]) == 2  # a column of another kind


def test_each_condition_has_its_way_to_show():
    def of(kind, retriever=None):
        return show_of(Condition(kind, 1), [], retriever=retriever, k=2, seed=0)

    assert of("given") is None and of("closed") is closed
    assert of("index", Fixed(Hit("a", 1.0, "x")))(row())[0]["passages"] == [{"text": "x", "id": "a"}]
    with pytest.raises(RecipeError, match="--index KB"):
        of("index")
