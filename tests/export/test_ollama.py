"""Modelfiles: Go templates that write what the chat templates write."""

import pytest

from espalier.errors import ModelError
from espalier.export.conversations import CONVERSATIONS, render_all
from espalier.export.ollama import rendered, translated, write_modelfile
from espalier.export.template import chat_text
from espalier.render import Renderer
from tests.export.templates import FAMILIES, tokenizer_of
from tests.templates import CHATML, SHOUTING

LAST = """{%- for m in messages -%}
{{- '[' + m.role + ']' + (messages[0].content if loop.last and not loop.first else '') + m.content -}}
{%- endfor -%}"""
"""Repeats the first message before the last."""


def talks_of(tokenizer, template):
    return render_all(Renderer(tokenizer, template=template), 1024)


@pytest.mark.parametrize("family", FAMILIES)
def test_equals_the_chat_template_on_the_conversations(family):
    tokenizer = tokenizer_of(FAMILIES[family])
    switched = FAMILIES[family].replace("enable_thinking is defined and not enable_thinking", "true")
    talks = talks_of(tokenizer, switched)
    assert len(talks) == 3
    go = translated(tokenizer, switched, talks)
    for talk in talks:
        text = rendered(go, talk.asked)
        assert text == chat_text(tokenizer, talk.asked, switched)
        assert all(message["content"] in text for message in talk.asked)
        assert (
            talk.messages[0]["role"] == "system"
            or talk.name != "several turns with a system message"
            or "without" in family
        )


def test_an_answer_that_has_begun_is_continued():
    tokenizer = tokenizer_of(FAMILIES["chatml"])
    go = translated(tokenizer, tokenizer.chat_template, talks_of(tokenizer, None))
    assert rendered(go, CONVERSATIONS["single turn"]).endswith("<|im_start|>assistant\nThe capital of France is Paris.")


@pytest.mark.parametrize("template", [SHOUTING, LAST, "{{ messages | length }}" + CHATML])
def test_what_is_no_sequence_of_messages_is_refused(template):
    tokenizer = tokenizer_of(FAMILIES["chatml"])
    with pytest.raises(ModelError, match=r"cannot be translated for Ollama: it .* With --raw"):
        translated(tokenizer, template, talks_of(tokenizer, FAMILIES["chatml"]))


def test_the_modelfile(tmp_path):
    write_modelfile(tmp_path, "m.gguf", '{{ "<a>\\n" }}', ["<|im_end|>", "</s>"], 131072)
    assert (tmp_path / "Modelfile").read_text() == (
        'FROM ./m.gguf\nTEMPLATE """{{ "<a>\\n" }}"""\nPARAMETER stop "<|im_end|>"\nPARAMETER stop "</s>"\n'
        "PARAMETER num_ctx 8192\n"
    )
    with pytest.raises(ModelError, match="Use --raw"):
        write_modelfile(tmp_path, "m.gguf", '"""', [], 512)
