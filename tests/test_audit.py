"""The audit: what is in the rows, what is left out and why, and what is refused."""

import json
from types import SimpleNamespace

import pytest

from espalier.audit import Audit, _warnings, hold_back, plant
from espalier.contracts import Row
from espalier.errors import RowError
from espalier.objectives.dpo import DPO
from espalier.objectives.sft import SFT
from espalier.render import Renderer
from espalier.train.store import Store
from tests.tokenizers import byte_tokenizer, chat_tokenizer

GOOD = [{"prompt": f"question {n}", "completion": "an answer " * (1 + n % 3)} for n in range(20)]


class Source(list):
    """Rows of a source as the readers give them."""

    detected = "rows.jsonl: prompts with completions"

    def __init__(self, rows, dropped=()):
        super().__init__(Row(row, where=f"rows.jsonl, row {n + 1}") for n, row in enumerate(rows))
        self.dropped = list(dropped)


def audited(folder, *sources, objective=None, max_tokens=128, **options):
    render = Renderer(chat_tokenizer(bos=True))
    sources = [Source(rows) if isinstance(rows, list) and not isinstance(rows, Source) else rows for rows in sources]
    return plant(objective or SFT(), sources, render, max_tokens=max_tokens, folder=folder / "rows", **options)


def test_clean_rows_are_all_kept_and_described(tmp_path):
    store, audit = audited(tmp_path, GOOD)
    assert (audit.read, audit.kept, audit.dropped, audit.warnings) == (20, 20, {}, [])
    assert len(store) == 20 and store.row(3) == GOOD[3] and store.row(3).where == "rows.jsonl, row 4"
    assert audit.detected == [Source.detected] and audit.languages == {"Latin": 1.0}
    assert audit.ended == 1.0 and audit.double_bos == 0
    low, high, most = audit.lengths["target"]
    assert low <= high <= most == len("an answer " * 3) + 1  # bytes, and the end of the turn
    assert audit.lengths["row"][2] == audit.lengths["prompt"][0] + most or audit.lengths["row"][2] > most
    audit.refuse(accept_dropped=False)


def test_the_trained_tokens_of_one_row_are_shown(tmp_path):
    _, audit = audited(tmp_path, GOOD)
    assert "".join(text for text, trained in audit.shown if trained) == "an answer <|im_end|>"
    assert "question 0" in "".join(text for text, trained in audit.shown if not trained)
    assert audit.shown_where == "rows.jsonl, row 1"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "x", "completion": ""}, "empty target"),
        ({"prompt": "same", "completion": "same"}, "prompt and completion are the same"),
        ({"prompt": "x" * 120, "completion": "y"}, "too long"),
        (GOOD[0], "duplicate"),
        ({"prompt": "x"}, "missing 'completion'"),
        ({"messages": [{"role": "user", "content": "x"}]}, "no assistant message to train on"),
    ],
)
def test_a_row_that_is_left_out_has_its_reason_and_place(row, reason, tmp_path):
    store, audit = audited(tmp_path, [*GOOD, row])
    assert audit.dropped == {reason: 1} and audit.where[reason][0].startswith("rows.jsonl, row 21")
    assert (audit.read, audit.kept, len(store)) == (21, 20, 20)
    assert audit.warnings == ["1 of 21 rows are dropped (4.8%)"]
    audit.refuse(accept_dropped=False)


def test_what_could_not_be_read_is_counted_with_the_rest(tmp_path):
    lost = SimpleNamespace(where="rows.jsonl, row 7", reason="not JSON", detail="a brace is missing")
    _, audit = audited(tmp_path, Source(GOOD, [lost] * 5))
    assert audit.dropped == {"not JSON": 5} and audit.read == 25
    assert audit.where["not JSON"] == ["rows.jsonl, row 7: a brace is missing"] * 3


def test_too_many_dropped_rows_stop_and_name_the_limit_that_keeps_them(tmp_path):
    long = [{"prompt": f"{n}" * 100, "completion": "y"} for n in range(9)]
    _, audit = audited(tmp_path, [*GOOD, *long], max_tokens=100, context=128)
    assert 100 < audit.fitting <= 128
    with pytest.raises(RowError) as caught:
        audit.refuse(accept_dropped=False)
    assert str(caught.value) == (
        f"9 of 29 rows (31%) would be dropped (too long: 9). First: rows.jsonl, row 21. The limit is 100 tokens; "
        f"max_tokens = {audit.fitting} keeps 98 % of the rows. Or go on without them: --accept-dropped."
    )
    audit.refuse(accept_dropped=True)


def test_a_limit_beyond_the_context_is_not_recommended(tmp_path):
    long = [{"prompt": f"{n}" * 200, "completion": "y"} for n in range(9)]
    _, audit = audited(tmp_path, [*GOOD, *long], max_tokens=128)
    with pytest.raises(RowError, match=f"fit into {audit.fitting} tokens, more than the model's context of 128"):
        audit.refuse(accept_dropped=False)


@pytest.mark.parametrize("accept", [True, False])
def test_nothing_left_is_refused_whatever_is_accepted(accept, tmp_path):
    _, audit = audited(tmp_path, [{"prompt": "x", "completion": ""}] * 2)
    with pytest.raises(
        RowError, match=r"none of the 2 rows can be trained on \(empty target: 2\). First: rows.jsonl, row 1"
    ):
        audit.refuse(accept_dropped=accept)


def test_targets_that_do_not_end_and_double_starts_are_warned_of():
    audit = Audit(read=10, kept=10, ended=0.5, double_bos=2)
    assert _warnings(audit) == [
        "only 50% of the targets end in an end-of-turn token: it may not learn to stop",
        "2 rows begin with two BOS tokens: the text or the template spells one already",
    ]


def test_personal_data_and_languages_are_counted(tmp_path):
    rows = [*GOOD, {"prompt": "메일은 어디로?", "completion": "jane@example.com 으로 보내세요"}]
    _, audit = audited(tmp_path, rows)
    assert audit.personal == {"email addresses": 1}
    assert audit.languages == pytest.approx({"Latin": 20 / 21, "Hangul": 1 / 21})
    assert audit.warnings == ["looks like personal data: 1 email addresses"]


def test_pairs_share_their_prompts(tmp_path):
    rows = [{"prompt": "a long question " * 4 + str(n), "chosen": "yes", "rejected": "no"} for n in range(5)]
    _, audit = audited(tmp_path, [*rows, {**rows[0], "rejected": "yes"}], objective=DPO())
    assert audit.dropped == {"chosen and rejected are identical": 1}
    assert 1.7 < audit.shared < 2.0


def test_what_was_planted_once_is_taken_from_the_cache(tmp_path, monkeypatch):
    _, first = audited(tmp_path, GOOD)
    monkeypatch.setattr(SFT, "plant", lambda *_: 1 / 0)
    store, again = audited(tmp_path, GOOD)
    assert len(store) == 20 and again.kept == first.kept
    assert json.dumps(vars(again)) == json.dumps(vars(first))


def test_rows_of_a_text_that_spells_its_start_have_one(tmp_path):
    render = Renderer(byte_tokenizer())
    source = Source([{"text": "<s>once"}, {"text": "twice"}])
    store, audit = plant(SFT(), [source], render, max_tokens=50, folder=tmp_path / "rows")
    assert audit.double_bos == 0 and audit.kept == 2
    assert store[0].branches[0].ids[:2].tolist() != [render.bos_id] * 2


@pytest.mark.parametrize(("share", "most", "count"), [(0.2, 100, 4), (0.5, 3, 3), (0.0, 100, 0), (0.02, 100, 0)])
def test_so_many_rows_are_held_back(share, most, count, tmp_path):
    store: Store = audited(tmp_path, GOOD)[0]
    kept, held = hold_back(store, 20, share=share, most=most, group=None, seed=0)
    assert len(held) == count and sorted([*kept.tolist(), *held]) == list(range(20))
    assert hold_back(store, 20, share=share, most=most, group=None, seed=0)[1] == held
    assert not held or hold_back(store, 20, share=share, most=most, group=None, seed=1)[1] != held
