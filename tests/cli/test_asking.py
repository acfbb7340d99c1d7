"""`espalier ask` as it is typed, with a model and without."""

import io
import json
import re

import pytest
from rich.console import Console

from espalier import settings
from espalier.cli import answers, main
from espalier.contracts import Hit
from espalier.indexing import index
from espalier.lm.local import Local
from tests.lm.server import Reply, Server
from tests.models_on_disk import save_model

QUESTION = "Where was Belmi born?"
REPLY = ["Quote: Belmi was ", "born in Kastel.\nQuote: She was tall.", "\nAnswer: Kastel"]


@pytest.fixture(autouse=True)
def kb(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ESPALIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(settings, "_said", set())
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "belmi.md").write_text("# Belmi\n\nBelmi was born in\nKastel. \x1b[31mRed.", encoding="utf-8")
    (tmp_path / "docs" / "tea.txt").write_text("차는 80도에서 우린다.", encoding="utf-8")
    index(tmp_path / "docs", tmp_path / "kb")


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A tiny model that is told what to say, whatever it would have said."""
    asked = []

    def stream(self, prompt, **sampling):
        asked.append((prompt, sampling))
        yield from REPLY

    monkeypatch.setattr(Local, "stream", stream)
    save_model(tmp_path / "model", max_position_embeddings=2048)
    return asked


def test_without_a_model_the_best_passages_are_shown_with_their_words_marked(capsys):
    assert main(["ask", "kb", QUESTION]) == 0
    said = capsys.readouterr().out
    assert said.startswith("[1] Belmi  belmi.md, characters 0 to ")
    assert "**Belmi** was **born** in\n" in said and "\x1b" not in said
    assert "No model was named" in said and f"espalier ask kb '{QUESTION}' --model MODEL" in said


def test_words_of_korean_are_marked_too(capsys):
    assert main(["ask", "kb", "80도에서 우리는 것은?"]) == 0
    assert "차는 **80도에서** 우린다" in capsys.readouterr().out


def test_on_a_terminal_the_words_are_bold():
    text = answers.marked("red fox", [(4, 7)], color=True)
    assert text.plain == "red fox" and [(s.start, s.end, s.style) for s in text.spans] == [(4, 7, "bold green")]


def test_json_without_a_model(capsys):
    assert main(["ask", "kb", QUESTION, "--json", "--k", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    (passage,) = found["passages"]
    words = [passage["text"][start:end] for start, end in passage["matches"]]
    assert found["question"] == QUESTION and passage["document"] == "belmi.md"
    assert words == ["Belmi", "Belmi", "born"]


def test_a_model_streams_and_its_sources_are_checked(model, capsys):
    assert main(["ask", "kb", QUESTION, "--model", "model", "--max-tokens", "9"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("".join(REPLY) + "\n")
    assert '[1] belmi.md, characters 9 to 34  verified\n    "Belmi was born in Kastel."' in said
    assert '[2] NOT FOUND IN THE TEXT\n    "She was tall."' in said
    ((prompt, sampling),) = model
    assert prompt.endswith(f"Question: {QUESTION}") and sampling == {"temperature": 0.0, "max_tokens": 9}


def test_json_with_a_model(model, capsys):
    assert main(["ask", "kb", QUESTION, "--model", "model", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["text"] == "Kastel" and [c["verified"] for c in found["citations"]] == [True, False]
    assert found["passages"][0]["document"] == "belmi.md"


def test_a_real_model_answers_something(tmp_path, capsys):
    save_model(tmp_path / "model", max_position_embeddings=280)
    assert main(["ask", "kb", "Belmi 차는", "--model", "model", "--max-tokens", "3"]) == 0
    said = capsys.readouterr().out
    assert "note: the model reads 280 tokens, so it is shown 1 of 2 passages" in said
    assert "no source is quoted; shown were:" in said


def test_without_quotes_the_shown_passages_are_named_with_their_place():
    out = Console(file=io.StringIO(), width=80)
    hit = Hit("a.pdf", 1.0, "abc", start=1_000, place="page 3")
    answers.print_sources(out, answers.Answer("Kastel", hits=(hit,)))
    assert "a.pdf, page 3, characters 1,000 to 1,003" in out.file.getvalue()


def test_why_a_passage_stands_where_it_does(capsys):
    assert main(["ask", "kb", QUESTION, "--explain"]) == 0
    assert re.search(r"score [\d.]+: \w+ [\d.]+", capsys.readouterr().out)
    assert main(["ask", "kb", QUESTION, "--explain", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passages"][0]["explanation"][0][1] > 0


@pytest.fixture
def server():
    found = Server()
    yield found
    found.stop()


def test_a_server_answers_and_a_setting_names_it(server, tmp_path, capsys):
    reply = {"choices": [{"message": {"content": "".join(REPLY)}}]}
    server.answer = lambda asked: Reply(reply if asked.body else {"data": [{"id": "small"}]})
    (tmp_path / "espalier.toml").write_text(f'lm = "{server.url}"', encoding="utf-8")
    assert main(["ask", "kb", QUESTION]) == 0
    said = capsys.readouterr()
    assert "Kastel" in said.out and "verified" in said.out and f"lm = {server.url}" in said.err
    assert server.asked[-1].body["model"] == "small"


@pytest.mark.parametrize("named", [[], ["--model", "model"]])
def test_nothing_found_is_said_and_no_model_is_asked(named, model, capsys):
    assert main(["ask", "kb", "zebra", *named]) == 0
    assert capsys.readouterr().out.strip() == answers.NOTHING and not model


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nothing", "hi"], "there is no index nothing; build it with `espalier index FOLDER --out nothing`"),
        (["docs", "hi"], "docs is a folder"),
        (["docs/belmi.md", "hi"], "is not an index of Espalier"),
        (["kb", "  "], "the question is empty. Write it in quotes: espalier ask kb 'Your question?'"),
        (["kb", "hi", "--k", "-1"], "--k"),
        (["kb", "hi", "--model", "a", "--from", "b"], "both name the model"),
        (["kb", "hi", "--model", "./nowhere"], "./nowhere"),
        (["kb", "hi", "--from", "a", "--lm", "http://h/v1"], "--from and --lm"),
        (["kb", "hi", "--with", "bm52"], "Did you mean 'bm25'?"),
        (["kb", "hi", "--with", "retrieve_then_read"], "asks a language model; name it with --model or --lm"),
        (["kb", "hi", "--set", "k1=2"], "is no setting of a part"),
    ],
)
def test_what_cannot_be_is_one_sentence(words, sentence, capsys):
    assert main(["ask", *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1


def test_a_question_too_long_for_the_model_is_refused_and_without_one_searched(tmp_path, capsys):
    save_model(tmp_path / "model", max_position_embeddings=400)
    assert main(["ask", "kb", "Belmi " * 10_000, "--model", "model"]) == 2
    assert "the model reads 400 tokens" in capsys.readouterr().err
    assert main(["ask", "kb", "Belmi " * 10_000, "--json"]) == 0
