"""The whole server, asked by the openai package."""

import base64
import json

import httpx
import numpy as np
import pytest

from espalier.pipelines import Pipeline
from espalier.serve.app import Service
from espalier.serve.knowledge import Knowledge
from espalier.serve.served import LocalModel
from espalier.serve.sources import signature
from espalier.serve.vectors import Vectors
from espalier.serve.writer import Writer
from tests.serve.conftest import REPLY, Told, serving

openai = pytest.importorskip("openai")
KEY = "k" * 24
HI = [{"role": "user", "content": "tell me of trees"}]
ASKED = [{"role": "user", "content": "Where was Belmi born?"}]


class Lengths:
    """An embedder of two numbers."""

    name = "lengths"

    def embed(self, texts, *, query=False):
        return np.array([[len(text), float(query)] for text in texts], np.float32)


@pytest.fixture(scope="module")
def url(lm, kb):
    writer = Writer(lm)
    read = Knowledge("kb/docs", kb, Pipeline.parse(""), Told(lambda prompt: REPLY), secret=KEY)
    bad = Knowledge("kb/bad", kb, Pipeline.parse(""), Told(), secret=KEY)
    service = Service({"tiny": LocalModel("tiny", writer), "kb/docs": read, "kb/bad": bad}, Vectors(Lengths()), key=KEY)
    with serving(service) as url:
        yield url
    writer.close()


@pytest.fixture(scope="module")
def client(url):
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


def test_models_are_listed(client):
    assert [model.id for model in client.models.list()] == ["tiny", "kb/docs", "kb/bad", "lengths"]


def test_equals_the_local_model_streamed_or_not(client, lm):
    sampling = {"temperature": 1.0, "max_tokens": 12, "seed": 4}
    [[wanted]] = lm.sample([HI], **sampling)
    whole = client.chat.completions.create(model="tiny", messages=HI, **sampling)
    assert whole.choices[0].message.content == wanted.text and whole.usage.completion_tokens == len(wanted.ids)
    options = {"stream": True, "stream_options": {"include_usage": True}}
    *chunks, last = client.chat.completions.create(model="tiny", messages=HI, **sampling, **options)
    assert "".join(chunk.choices[0].delta.content for chunk in chunks) == wanted.text
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[-1].choices[0].finish_reason
    assert last.usage.prompt_tokens == len(lm.renderer.prompt(HI))


def test_several_answers_with_log_probabilities(client, lm):
    sampling = {"temperature": 1.0, "max_tokens": 6, "seed": 4, "n": 3}
    [wanted] = lm.sample([HI], **sampling)
    found = client.chat.completions.create(model="tiny", messages=HI, logprobs=True, **sampling)
    assert [choice.message.content for choice in found.choices] == [sample.text for sample in wanted]
    logps = [token.logprob for token in found.choices[1].logprobs.content]
    assert logps == pytest.approx(wanted[1].logps[: len(logps)], abs=1e-4)


def test_a_text_is_gone_on_with(client, lm):
    found = client.completions.create(model="tiny", prompt="Once", max_tokens=5, temperature=0)
    assert found.choices[0].text == lm.complete("Once", max_tokens=5)[0]


def test_an_index_answers_with_its_sources(client):
    found = client.chat.completions.create(model="kb/docs", messages=ASKED)
    text = found.choices[0].message.content
    assert text.startswith("In Kastel (1). [1][2]\n\nSources:\n\n1. [Belmi](http://127.0.0.1:")
    assert "2. not found in the documents: She was tall." in text
    first, second = found.citations
    assert (first["document"], first["verified"], second["verified"]) == ("belmi.md", True, False)
    [passage] = [p for p in found.passages if p["document"] == "belmi.md"][:1]
    assert (
        passage["text"][first["start"] - passage["start"] : first["end"] - passage["start"]]
        == "Belmi was born in\nKastel."
    )
    link = text.partition("](")[2].partition(")")[0]
    page = httpx.get(link)
    assert page.status_code == 200 and '<mark id="quote">Belmi was born in\nKastel.</mark>' in page.text
    assert httpx.get(link.replace("end=", "end=1")).status_code == 403


def test_the_last_event_of_a_stream_has_the_sources(client):
    chunks = list(client.chat.completions.create(model="kb/docs", messages=ASKED, stream=True))
    assert len(chunks) > 3 and "".join(c.choices[0].delta.content for c in chunks).startswith("In Kastel (1). [1]")
    assert [c["number"] for c in chunks[-1].citations] == [1, 2] and not hasattr(chunks[0], "citations")


def test_a_document_cannot_break_out_of_a_source_page(client, url):
    evil = [{"role": "user", "content": "ignore above script alert bold"}]
    passage = client.chat.completions.create(model="kb/docs", messages=evil).passages[0]
    assert "<script>" in passage["text"] and "](x) <b>" in passage["document"]
    where = {"index": "kb/docs", "document": passage["document"], "start": "0", "end": "60"}
    page = httpx.get(f"{url}/source", params={**where, "sign": signature(where, KEY)})
    assert page.status_code == 200 and "&lt;script&gt;" in page.text and "](x) &lt;b&gt;" in page.text
    assert "<script" not in page.text and "<img" not in page.text
    gone = {**where, "end": "99999"}
    assert httpx.get(f"{url}/source", params={**gone, "sign": signature(gone, KEY)}).status_code == 404


def test_a_problem_in_a_stream_is_an_event(client):
    with pytest.raises(openai.APIError, match="the script has 0 replies"):
        list(client.chat.completions.create(model="kb/bad", messages=ASKED, stream=True))
    with pytest.raises(openai.APIStatusError, match="the script has 0 replies"):
        client.chat.completions.create(model="kb/bad", messages=ASKED)


def test_embeddings_as_numbers_and_as_bytes(client, url):
    found = client.embeddings.create(model="lengths", input=["a", "abc"])
    assert [row.embedding for row in found.data] == [[1, 0], [3, 0]]
    body = {"model": "lengths", "input": "ab", "encoding_format": "base64", "input_type": "query"}
    raw = httpx.post(f"{url}/v1/embeddings", json=body, headers={"Authorization": f"Bearer {KEY}"}).json()
    assert np.frombuffer(base64.b64decode(raw["data"][0]["embedding"]), "<f4").tolist() == [2, 1]


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"model": "tinny"}, 404, "Did you mean 'tiny'?"),
        ({"messages": [{"role": "user", "content": "a " * 900}]}, 400, "no room is left"),
        ({"model": "kb/docs", "n": 2}, 400, "one answer with its sources"),
        ({"messages": None}, 400, "'messages' must be a list"),
        ({"stream": True, "messages": [{"role": "user", "content": "a " * 900}]}, 400, "no room is left"),
    ],
)
def test_wrong_requests_are_one_sentence(url, body, status, sentence):
    asked = {"model": "tiny", "messages": HI, **body}
    reply = httpx.post(f"{url}/v1/chat/completions", json=asked, headers={"Authorization": f"Bearer {KEY}"})
    assert reply.status_code == status and sentence in reply.json()["error"]["message"]


def test_there_is_a_page_and_nothing_else(url):
    page = httpx.get(url)
    assert (
        "script-src 'sha256-" in page.headers["content-security-policy"]
        and "https://" not in page.text.split("<script>")[0]
    )
    assert 'data-keyed="true"' in page.text and httpx.get(f"{url}/health").json() == {"status": "ok"}
    assert httpx.get(f"{url}/v1/models").status_code == 401
    reply = httpx.get(f"{url}/nowhere", headers={"Authorization": f"Bearer {KEY}"})
    assert reply.status_code == 404 and json.loads(reply.text)["error"]["message"] == "no such path: GET /nowhere."


def test_who_leaves_a_stream_is_forgotten(client, url):
    stream = client.chat.completions.create(model="tiny", messages=HI, stream=True, max_tokens=400, seed=1)
    next(iter(stream))
    stream.close()
    assert client.chat.completions.create(model="tiny", messages=HI, max_tokens=2).choices
