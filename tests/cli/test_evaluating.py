"""`espalier evaluate` over questions: conditions, groups, an index, several models."""

import json

import pytest

from espalier.cli import evaluating, grids, main
from espalier.cli.evaluating import Asking
from espalier.contracts import Hit
from espalier.errors import RecipeError
from espalier.evaluation.conditions import Condition
from espalier.evaluation.results import MEASURES
from tests.evaluation.asked import BELMI, OTHERS, Fixed, row
from tests.models.scorers import save_decoder
from tests.models_on_disk import answers, pairs, save_model, write_rows

QUESTIONS = [
    row(f"Where is {n}?", f"Town{n}", passages=[{"text": f"{n} is in Town{n}.", "id": f"d{n}"}], gold=[0], kind=kind)
    for n, kind in enumerate(["odd", "even"] * 3)
]
QUESTIONS.append(row("Who?", passages=[BELMI], gold=[], answerable=False, kind="odd"))
SHORT = ["--max-tokens", "4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two models, and questions."""
    folder = tmp_path_factory.mktemp("work")
    for seed, name in enumerate(("first", "second")):
        save_model(folder / name, seed=seed, max_position_embeddings=2048)
    write_rows(folder / "questions.jsonl", QUESTIONS)
    write_rows(folder / "rows.jsonl", answers(4))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("espalier.opening.physical_cores", lambda: 1)  # tests share the machine
        yield folder


@pytest.fixture
def index(monkeypatch):
    """An index that finds the same two passages for every question."""

    class Opened:
        def __enter__(self):
            return Fixed(Hit("d0", 2.0, "0 is in Town0."), Hit("else", 1.0, OTHERS[0]["text"]))

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(evaluating, "_opened", lambda path: Opened())


def evaluate(*words):
    return main(["evaluate", *words, *SHORT])


def test_questions_are_measured_and_split_by_a_column(folder, capsys):
    assert evaluate("first", "--data", "questions.jsonl", "--by", "kind", "--out", "one.json") == 0
    printed = capsys.readouterr().out
    assert printed.count("exact match") == 3 and "\nkind: odd\n" in printed and "abstains from" in printed
    found = json.loads((folder / "one.json").read_text())
    assert found["condition"] == "given" and found["after"]["groups"]["even"]["exact_match"]["n"] == 3
    assert found["after"]["examples"][0]["passages"][0]["gold"] is True


def test_two_models_are_compared_on_questions_and_in_each_group(folder, capsys):
    line = ["first", "--against", "second", "--data", "questions.jsonl", "--by", "kind", "--closed-book"]
    assert evaluate(*line, "--out", "two.json") == 0
    assert "cannot say" in capsys.readouterr().out
    found = json.loads((folder / "two.json").read_text())
    assert found["condition"] == "closed" and set(found["group_differences"]) == {"odd", "even"}
    assert all(example["passages"] == [] for example in found["before"]["examples"])


def test_an_index_is_searched_and_its_finding_measured(folder, index, capsys):
    assert evaluate("first", "--data", "questions.jsonl", "--index", "kb", "--k", "2", "--out", "found.json") == 0
    assert "retrieval recall" in capsys.readouterr().out
    found = json.loads((folder / "found.json").read_text())
    assert (found["condition"], found["index"], found["k"]) == ("index", "kb", 2)
    recall = found["after"]["metrics"]["recall"]
    assert (recall["value"], recall["n"]) == (pytest.approx(1 / 6), 6)  # only the first question's is there


def test_several_models_under_several_conditions_leave_a_file_and_a_page(folder, index, capsys):
    line = ["first", "second", "--data", "questions.jsonl", "--index", "kb", "--by", "kind"]
    assert evaluate(*line, "--conditions", "closed,given,index,distractors=2", "--out", "grid.json") == 0
    printed = capsys.readouterr().out
    assert "second, distractors=2: sampling 7 of 7" in printed and "written: grid.json and grid.html" in printed
    found = json.loads((folder / "grid.json").read_text())
    assert [(cell["target"], cell["condition"]) for cell in found["cells"][3:5]] == [
        ("first", "distractors=2"),
        ("second", "closed"),
    ]
    page = (folder / "grid.html").read_text()
    assert page.startswith("<!doctype html>") and "kind: even" in page and "kb" in page


def test_only_the_numbers_that_are_named_are_printed_and_the_file_has_all(folder, capsys):
    line = ["first", "second", "--data", "questions.jsonl", "--conditions", "closed,given", "--dtype", "float32"]
    assert evaluate(*line, "--metrics", "abstained,exact_match", "--out", "few.json") == 0
    printed = capsys.readouterr().out
    assert (
        printed.startswith("first, closed") and "\nAbstains from unanswerable questions of second on 1 rows:" in printed
    )
    tables = [line for line in printed.splitlines() if line in {measure.title for measure in MEASURES.values()}]
    assert tables == ["abstains from unanswerable questions", "exact match"]
    found = json.loads((folder / "few.json").read_text())
    assert found["shown"] == ["abstained", "exact_match"] and "f1" in found["cells"][0]["evaluation"]["metrics"]


def test_of_one_model_too(folder, capsys):
    assert evaluate("first", "--against", "second", "--data", "questions.jsonl", "--metrics", "f1") == 0
    printed = capsys.readouterr().out
    assert "\nF1 " in printed and "\nexact match" not in printed


def test_one_model_under_several_conditions_is_one_table(folder, capsys):
    assert evaluate("first", "--data", "questions.jsonl", "--conditions", "closed,given") == 0
    printed = capsys.readouterr().out
    assert printed.count("closed  ") == 1 and "--out FILE.json" in printed and not (folder / "grid").exists()


def test_several_models_need_no_questions(folder, capsys):
    assert evaluate("first", "second", "--data", "rows.jsonl") == 0
    assert "\nperplexity per token\n" in capsys.readouterr().out


def test_rows_that_cannot_be_read_are_said(folder, capsys):
    write_rows(folder / "bad.jsonl", [*QUESTIONS, {"question": "", "answers": ["a"]}])
    assert evaluate("first", "--data", "bad.jsonl") == 0
    assert "could not be read: 1 ('question' is empty)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("first second --against first", "--against is for one target"),
        ("first --conditions closed,given --against base", "--against is for one target"),
        ("first --conditions clsed", "Did you mean 'closed'?"),
        ("first --conditions index", "--index KB and the condition `index` go together"),
        ("first --conditions closed --index kb", "--index KB and the condition `index` go together"),
        ("first --conditions given --closed-book", "name `closed` among the conditions"),
        ("first --closed-book --index kb", "--conditions closed,index"),
        ("first --index ./nowhere.db", "nowhere.db"),
        ("first --index kb --k 0", "'--k'"),
        ("first first", "a target stands twice"),
        ("first --by knd", "Did you mean 'kind'?"),
        ("first --out nowhere/x.json", "no folder 'nowhere' to write into"),
        ("first --conditions distractors=20", "fewer than 20 passages"),
        ("first base", "is a model by itself"),
        ("first --metrics exact_mach", "Did you mean 'exact_match'?"),
        ("first --dtype float16", "no dtype named 'float16'. Known: auto, float32, bfloat16."),
    ],
)
def test_what_cannot_be_is_one_sentence(folder, line, sentence, capsys):
    assert evaluate(*line.split(), "--data", "questions.jsonl") == 2
    told = capsys.readouterr().err
    assert sentence in told and told.startswith("error: ") and told.count("\n") == 1


def test_how_questions_are_asked():
    assert Asking().parsed() == [Condition("given")]
    assert Asking(closed_book=True).parsed() == [Condition("closed")]
    assert Asking(conditions="given,distractors=2").parsed() == [Condition("given"), Condition("distractors", 2)]
    with pytest.raises(RecipeError, match="no condition named 'x'"):
        Asking(conditions="x").parsed()


def test_targets_are_called_by_what_tells_them_apart():
    assert grids.names_of(["runs/sft", "runs/dpo", "org/base"]) == ["sft", "dpo", "base"]
    assert grids.names_of(["a/run", "b/run"]) == ["a/run", "b/run"]


def test_reward_models_are_measured_and_compared_on_pairs(folder, capsys):
    for seed, name in enumerate(("rm", "other")):
        save_decoder(folder / name, seed=seed, pad="<|im_start|>")
    rows = [{**row, "kind": n % 2} for n, row in enumerate(pairs(12))]
    write_rows(folder / "pairs.jsonl", rows)
    assert evaluate("rm", "--data", "pairs.jsonl", "--by", "kind", "--threads", "1") == 0
    assert capsys.readouterr().out.count("chosen scored above rejected") == 3
    assert evaluate("rm", "--against", "other", "--data", "pairs.jsonl", "--out", "rm.json") == 0
    assert "Bradley-Terry log-loss" in capsys.readouterr().out
    found = json.loads((folder / "rm.json").read_text())
    assert {change["measure"] for change in found["differences"]} == {"pair_accuracy", "pair_log_loss"}
    assert evaluate("rm", "other", "--data", "pairs.jsonl") == 0
    assert "Chosen scored above rejected of other on 12 rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("evaluate rm --against base --data pairs.jsonl", "--against RUN"),
        ("evaluate rm --against first --data pairs.jsonl", "rm gives scores and first writes text"),
        ("evaluate first --against rm --data pairs.jsonl", "rm gives scores and first writes text"),
        ("evaluate rm --data rows.jsonl", "nothing to compare a score with"),
        ("chat rm", "gives scores and writes no text. Measure it with `espalier evaluate`"),
        ("chat rm --threads 0", "'--threads'"),
    ],
)
def test_what_a_reward_model_cannot_do_is_said_in_a_sentence(folder, line, sentence, capsys):
    save_decoder(folder / "rm", pad="<|im_start|>")
    write_rows(folder / "pairs.jsonl", pairs(2))
    assert main(line.split()) == 2
    printed = capsys.readouterr().err
    assert sentence in printed and printed.count("\n") == 1
