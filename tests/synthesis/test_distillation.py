"""A teacher's answers, without those that were cut off or say nothing."""

from espalier.contracts import Row, Sample
from espalier.lm.scripted import Scripted
from espalier.rows import kind
from espalier.synthesis.distillation import Distillation


def test_the_teacher_answers_and_what_the_rows_brought_is_left_out():
    lm = Scripted("one")
    rows = [Row(prompt="p", completion="old", chosen="a", rejected="b", label=True, task="t")]
    made = list(Distillation(lm, temperature=0.5, max_tokens=9, seed=3).curate(rows))
    assert made == [{"prompt": "p", "task": "t", "completion": "one"}] and kind(made[0]) == "completion"
    assert (lm.calls[0].temperature, lm.calls[0].max_tokens, lm.calls[0].seed) == (0.5, 9, 3)


def test_what_is_cut_off_or_empty_is_counted():
    class Teacher(Scripted):
        def sample(self, prompts, **options):
            return [[Sample(prompts[0], ended=prompts[0] != "long")]]

    found = Distillation(Teacher()).curate([Row(prompt="long"), Row(prompt=" "), Row(prompt="good")])
    assert [row["completion"] for row in found] == ["good"]
    assert [lost.reason for lost in found.dropped] == ["cut off by max_tokens", "an empty answer"]
