"""What a run shows while it runs."""

import io

from rich.console import Console

from espalier.cli.progress import Progress
from espalier.train.loop import Event
from tests.evaluation.runs import audit

STEP = {
    "loss": 0.5, "accuracy": 0.75, "margin": 0.1, "chosen_reward": 9.0, "grad_norm": 8.0, "learning_rate": 7.0,
    "tokens": 1000.0, "seconds": 2.0, "examples": 4,
}  # fmt: skip


class Clock:
    """Time as the test says."""

    now = 0.0

    def __call__(self):
        return self.now


def shown(color=False):
    clock = Clock()
    screen = Console(file=io.StringIO(), width=120, force_terminal=color, markup=False, highlight=False, _environ={})
    return Progress(screen, clock), clock, screen.file


def steps(progress, clock, numbers, seconds=2.0, **values):
    for number in numbers:
        clock.now += seconds
        progress(Event("step", number, {**STEP, "seconds": seconds, **values}))


def test_a_line_at_the_start_at_the_end_and_every_few_seconds_between():
    progress, clock, file = shown()
    progress(Event("estimate", 0, {"steps": 20, "seconds": 40.0}))
    steps(progress, clock, range(1, 21))
    lines = [line for line in file.getvalue().splitlines() if line.startswith("training")]
    assert [line.split()[1] for line in lines] == ["1", "4", "7", "10", "13", "16", "19", "20"]
    assert lines[0] == "training 1 of 20  loss 0.500  accuracy 0.750  margin 0.100  500 tokens/s  38 s left"
    assert "left" not in lines[-1]


def test_the_numbers_are_means_of_the_last_steps():
    progress, clock, file = shown()
    steps(progress, clock, [1, 2, 3], loss=1.0)
    steps(progress, clock, [4], seconds=10.0, loss=3.0)
    assert "loss 1.50" in file.getvalue().splitlines()[-1]


def test_a_resumed_run_does_not_count_the_steps_before():
    progress, clock, file = shown()
    progress(Event("estimate", 0, {"steps": 20}))
    steps(progress, clock, [11])
    assert "18 s left" in file.getvalue()


def test_training_lasts_from_the_first_step_to_the_next_phase():
    progress, clock, _ = shown()
    assert not progress.training
    steps(progress, clock, [1])
    assert progress.training and not progress.saved and progress.step == 1
    progress(Event("save", 1, {"path": "p"}))
    progress(Event("evaluating", 1, {"done": 1, "total": 2}))
    assert progress.saved and not progress.training
    progress(Event("end", 5, {}))
    assert progress.step == 5


def test_every_kind_of_event_is_shown():
    progress, clock, file = shown()
    with progress:
        progress(Event("audit", 0, {"audit": audit()}))
        progress(Event("note", 0, {"text": "reference = the base\x1b[2J"}))
        progress(Event("reference", 0, {"done": 1, "total": 9, "text": "log-probabilities of the reference"}))
        progress(Event("sampling", 0, {"done": 3, "total": 3}))
        progress(Event("something new", 0, {}))
        steps(progress, clock, [1])
        progress(Event("eval", 1, {"loss": 0.25, "accuracy": 1.0, "margin": 2.0, "chosen_reward": 3.0, "best": True}))
    text = file.getvalue()
    assert "1,200 read" in text and "note: reference = the base\ufffd" in text
    assert "log-probabilities of the reference 1 of 9" in text and "sampling 3 of 3" in text
    assert "step 1  held-back rows: loss 0.250  accuracy 1.00  margin 2.00  best so far" in text


def test_on_a_terminal_there_is_one_bar_that_goes_away():
    progress, clock, file = shown(color=True)
    with progress:
        progress(Event("reference", 0, {"done": 1, "total": 2}))
        progress(Event("estimate", 0, {"steps": 2}))
        steps(progress, clock, [1, 2])
        progress(Event("eval", 2, {"loss": 0.25, "best": False}))
        bar = progress._bar
        assert [task.description for task in bar.tasks] == ["training"] and bar.tasks[0].completed == 2
    assert "held-back rows: loss 0.250" in file.getvalue() and "best" not in file.getvalue()
