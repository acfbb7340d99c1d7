"""`espalier questions` as it is typed: written, counted, resumed, handed to what measures."""

import json
import re
from pathlib import Path

import pytest

from espalier import settings
from espalier.answering import Answering
from espalier.cli import main, reviewing
from espalier.evaluation.searching_rows import read_questions
from espalier.formats.beir import read_beir, read_corpus
from espalier.indexing import index
from espalier.knowledge.store import Store
from espalier.lm.scripted import Scripted

ENGLISH = "The mill of {0} was built by Belmi in the year {1} beside the old river of the valley."
KOREAN = "{0}의 낡은 물레방아는 벨미라는 사람이 {1}년에 강가에 지었다."
TOWNS = ("Kastel", "Babim", "Nudagom")


class Writer(Scripted):
    """Asks when the mill of a passage was built; `act` happens before each reply."""

    def __init__(self):
        super().__init__(self.reply)
        self.act = lambda number: None

    def reply(self, prompt):
        self.act(len(self.calls))
        if not prompt.startswith("<passage"):
            return "not stated"
        text = prompt.partition(">\n")[2].partition("\n</passage>")[0]
        year, korean = re.search(r"\d{4}", text)[0], "in Korean" in prompt or "의 낡은" in text
        town = re.search(r"mill of (\w+)|(\w+)의 낡은", text)
        town = town[1] or town[2]
        if town == "Babim":
            return f"Question: When was Babim's mill finished?\nQuote: In {year}, they say.\nAnswer: {year}"
        question = f"{town}에서 방아가 완공된 해는?" if korean else f"When did {town} get its mill?"
        return f"Question: {question}\nQuote: {text}\nAnswer: {year}\nTranslation: {year}년"


@pytest.fixture(autouse=True)
def writer(tmp_path, monkeypatch):
    """An index of six passages in two languages, and who writes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "_said", set())
    Path("docs").mkdir()
    for number, town in enumerate(TOWNS):
        for lang, text in (("en", ENGLISH), ("ko", KOREAN)):
            Path(f"docs/{lang}{number}.txt").write_text(text.format(town, 1870 + number), encoding="utf-8")
    index(Path("docs"), Path("docs.kb"))
    lm = Writer()
    monkeypatch.setattr(Answering, "open", lambda self, name: lm)
    return lm


def lines(file="questions.jsonl"):
    return [json.loads(line) for line in Path(file).read_text("utf-8").splitlines()]


def test_questions_are_written_and_counted(writer, capsys):
    assert main(["questions", "docs.kb", "--n", "4", "--lm", "m", "--beir", "beir"]) == 0
    said = capsys.readouterr().out
    assert "questions   4 in questions.jsonl: 2 en, 2 ko; 4 documents" in said
    rows = lines()
    assert [row["id"] for row in rows] == ["q0001", "q0002", "q0003", "q0004"]
    with Store.open(Path("docs.kb")) as store:
        assert all(store.text(row["document"])[row["start"] : row["end"]] == row["quote"] for row in rows)
        asked, left_out = read_questions("questions.jsonl", store)
        assert len(asked) == 4 and left_out == {} and {one.language for one in asked} == {"en", "ko"}
        collection = read_beir(Path("beir"))
        assert collection.qrels[rows[0]["id"]] == {rows[0]["document"]: 1}
        assert len(list(read_corpus(Path("beir")))) == 6
    assert not Path("questions.jsonl.partial").exists()


def test_what_is_dropped_has_a_reason_and_others_are_drawn_instead(capsys):
    assert main(["questions", "docs.kb", "--n", "9", "--lm", "m"]) == 0
    said = capsys.readouterr().out
    assert "2 quote not in the passage (When was Babim's mill finished?)" in said
    assert "4 in questions.jsonl" in said and "fewer than 9" in said


def test_the_same_seed_gives_the_same_questions():
    for out in ("a.jsonl", "b.jsonl"):
        assert main(["questions", "docs.kb", "--n", "2", "--lm", "m", "--seed", "5", "--out", out]) == 0
    assert Path("a.jsonl").read_bytes() == Path("b.jsonl").read_bytes()


def test_crossed_questions_are_in_another_language_than_their_passage():
    assert main(["questions", "docs.kb", "--n", "3", "--lm", "m", "--languages", "ko", "--cross", "en:ko"]) == 0
    found = {(row["gold_lang"], row["lang"]) for row in lines()}
    assert found == {("ko", "ko"), ("en", "ko")}
    assert next(row["answers"] for row in lines() if row["gold_lang"] == "en")[1].endswith("년")


def test_what_is_stopped_goes_on(writer, capsys):
    def stop(number):
        if number == 4:
            raise KeyboardInterrupt

    writer.act = stop
    words = ["questions", "docs.kb", "--n", "4", "--lm", "m"]
    assert main(words) == 130 and "the same command goes on" in capsys.readouterr().err
    assert not Path("questions.jsonl").exists()
    before, writer.act = len(writer.calls), lambda number: None
    assert main(words) == 0 and len(lines()) == 4
    first = Path("questions.jsonl").read_bytes()
    assert len(writer.calls) - before < before + 6
    Path("questions.jsonl").unlink()
    assert main(words) == 0 and Path("questions.jsonl").read_bytes() == first


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["docs.kb"], "nobody is named who writes questions"),
        ([], "no index given"),
        (["none.kb", "--lm", "m"], "there is no index none.kb"),
        (["docs.kb", "--lm", "m", "--out", "q.csv"], "ends in .jsonl"),
        (["docs.kb", "--lm", "m", "--out", "docs/no/q.jsonl"], "there is no folder"),
        (["docs.kb", "--lm", "m", "--languages", "kr"], "no language named 'kr'. Known: en, id, ja, ko, zh"),
        (["docs.kb", "--lm", "m", "--languages", "zh"], "has no passage in 'zh'"),
        (["docs.kb", "--lm", "m", "--cross", "en"], "write PASSAGE:QUESTION"),
        (["docs.kb", "--lm", "m", "--form", "both"], "form"),
        (["docs.kb", "--lm", "m", "--beir", "docs"], "docs exists"),
        (["--review", "none.jsonl"], "there is no file none.jsonl"),
        (["--review", "none.jsonl", "--beir", "x"], "--beir needs the index"),
        (["docs.kb", "--n", "0"], "'--n'"),
    ],
)
def test_what_cannot_be_is_one_sentence(words, sentence, writer, capsys):
    assert main(["questions", *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1 and writer.calls == [] and not Path("questions.jsonl").exists()


def test_a_model_that_writes_nothing_usable_is_told(writer, capsys):
    writer._next = lambda prompt: "hm"
    assert main(["questions", "docs.kb", "--lm", "m", "--n", "3"]) == 2
    assert "6 unparsed" in capsys.readouterr().err and not Path("questions.jsonl").exists()


def test_questions_are_looked_through_and_then_written_as_a_collection(monkeypatch, capsys):
    monkeypatch.setattr(reviewing, "show", lambda desk, *, port: desk.act({"at": 0, "verdict": "refused"}))
    words = ["questions", "docs.kb", "--n", "4", "--lm", "m", "--review"]
    assert main(words) == 0
    assert "reviewed    0 accepted, 0 edited, 1 refused, 3 left" in capsys.readouterr().out
    monkeypatch.setattr(reviewing, "show", lambda desk, *, port: desk.act({"at": 1, "verdict": "accepted"}))
    assert main([*words, "--beir", "beir"]) == 0  # the file is there: it is gone on with
    assert len(read_beir(Path("beir")).queries) == 3 == len(lines())
    assert main(["questions", "--review", "questions.jsonl"]) == 0
    assert "2 left" in capsys.readouterr().out
