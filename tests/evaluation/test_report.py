"""report.html: what it says, what it hides, and what it says of what is missing."""

import json
import re
from html.parser import HTMLParser

import pytest

from espalier.errors import RunError
from espalier.evaluation.report import SHOWN, chosen, scores, span, worse, write_report
from espalier.evaluation.wording import NO_EVALUATION, OWN_ANSWERS
from tests.evaluation.runs import audit, difference, general, write_run

EVIL = "<script>alert(1)</script>&<b>"
VOID = {"meta", "br"}


class Balanced(HTMLParser):
    """Fails where tags do not close in order; collects the tags and the text that is seen."""

    def __init__(self, content):
        super().__init__()
        self.open, self.tags, self.words = [], set(), []
        self.feed(content)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def sample(number, base=0.5, tuned=0.5, **more):
    return {
        "where": f"row {number}", "prompt": f"asked {number}", "reference": "expected", "base": "was", "tuned": "is",
        "score_base": base, "score_tuned": tuned, **more,
    }  # fmt: skip


def read(folder):
    content = write_report(folder).read_text(encoding="utf-8")
    return content, " ".join(Balanced(content).words)


def test_it_opens_with_the_verdict_and_shows_the_intervals(tmp_path):
    events = [{"kind": "step", "step": n, "loss": 1 / n} for n in range(1, 41)]
    folder = write_run(tmp_path / "run", differences=[difference("F1")], samples=[sample(1)], events=events)
    content, words = read(folder)
    assert words.index("Gained: F1 0.500 to 0.700") < words.index("What changed") < words.index("asked 1")
    assert "Where it got worse On none of 1 rows." in words
    assert "+0.100 to +0.300" in words and "finished" in words and "prompts shared 1.42x" in words
    assert content.count("<details>") == 3 and "<svg" in content
    assert "not finished" not in words


def test_nothing_that_was_said_becomes_markup(tmp_path):
    said = sample(1, prompt=[{"role": "user", "content": EVIL}], where=EVIL) | {"base": EVIL}
    folder = write_run(tmp_path / "run", differences=[difference(EVIL)], samples=[said], decisions={"device": EVIL})
    (folder / "audit.json").write_text(
        json.dumps(audit(shown=[(EVIL, True)], warnings=[EVIL]).__dict__), encoding="utf-8"
    )
    content, words = read(folder)
    assert "<script" not in content and "<b>" not in content
    assert f"user: {EVIL}" in words


def test_it_needs_nothing_but_itself(tmp_path):
    content, _ = read(write_run(tmp_path / "run", differences=[difference()], samples=[sample(1)]))
    assert not re.search(r"https?://|\bsrc=|\bhref=|@import|url\(", content)


def test_a_stopped_run_says_so(tmp_path):
    events = [{"kind": "step", "step": 7, "loss": 1.0}]
    _, words = read(write_run(tmp_path / "run", events=events, state="interrupted"))
    assert "it stands at step 7 of 40" in words and NO_EVALUATION in words and "What changed" not in words


def test_only_run_json_is_needed(tmp_path):
    (tmp_path / "run.json").write_text('{"state": "running"}', encoding="utf-8")
    _, words = read(tmp_path)
    assert "it stands at step 0" in words
    with pytest.raises(RunError, match="no run here"):
        write_report(tmp_path / "elsewhere")


def test_users_never_read_of_trees(tmp_path):
    _, words = read(write_run(tmp_path / "run", decisions={"layout": "trees", "precision": {"compute": "float32"}}))
    assert "packed" in words and "precision compute" in words
    assert not re.search("tree|forest", words)


def test_pairs_are_shown_with_their_margins(tmp_path):
    pair = {"where": "row 1", "prompt": "p", "chosen": "good", "rejected": [{"role": "assistant", "content": "bad"}]}
    pair |= {"margin_base": 0.0, "margin_tuned": 1.5}
    _, words = read(write_run(tmp_path / "run", samples=[pair]))
    assert "chosen over rejected by 0 nats before, 1.50 after" in words and "assistant: bad" in words


def test_what_was_forgotten_stands_beside_what_was_gained(tmp_path):
    folder = write_run(tmp_path / "run", differences=[difference("F1")])
    gained = json.loads((folder / "evaluation.json").read_text())
    (folder / "evaluation.json").write_text(json.dumps(gained | {"general": general()}), encoding="utf-8")
    _, words = read(folder)
    assert "forgot: perplexity on general rows 12.1 to 14.9" in words and "What was forgotten" in words
    assert "+18 to +27 %" in words and "became less likely by 0.208 nats per token (0.166 to 0.239)" in words
    (folder / "evaluation.json").write_text(json.dumps({"general": general(what=OWN_ANSWERS)}), encoding="utf-8")
    assert "how far the model has moved, and not yet a loss" in read(folder)[1]
    (folder / "evaluation.json").write_text('{"general": {"what": "x", "problem": "no room"}}', encoding="utf-8")
    assert "This cannot be said of x: no room." in read(folder)[1]


def test_samples_are_chosen_by_the_seed():
    samples = [sample(n) for n in range(40)]
    assert chosen(samples, 0) == chosen(samples, 0) != chosen(samples, 1)
    assert len(chosen(samples, 0)) == SHOWN and chosen(samples[:2], 0) == samples[:2]


def test_the_worst_come_first_and_what_got_better_does_not_come():
    samples = [sample(0, 0.5, 0.4), sample(1, 0.5, 0.9), sample(2, 0.9, 0.1), sample(3, None, 0.1), sample(4)]
    assert [row["where"] for row in worse(samples)] == ["row 2", "row 0"]
    assert worse(samples[1:2]) == []
    assert scores({"margin_base": 1, "margin_tuned": 2}) == (1, 2)


def test_property_an_interval_stays_in_its_picture():
    for low, middle, high in ((-5, 1, 3), (0.1, 0.2, 0.3), (0, 0, 0), (-1e-9, 0, 1e-9)):
        numbers = [float(x) for x in re.findall(r'(?:x1|x2|cx)="([\d.]+)"', span(low, middle, high))]
        assert all(0 <= x <= 144 for x in numbers)
