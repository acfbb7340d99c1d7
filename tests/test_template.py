"""Where an assistant turn begins and ends: in templates with one habit each, and in those that models really have."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from espalier.errors import RowError
from espalier.render import Rendered, Renderer
from espalier.template import ChatTemplate
from espalier.tokens import Codec
from tests.templates import CHATML, INST, OPENED, TAILED, THINKER, UNCLOSED
from tests.tokenizers import byte_tokenizer, chat_tokenizer

TRL = importlib.util.find_spec("trl")
FOLDER = Path(str(TRL.origin)).parent / "chat_templates" if TRL else Path("nowhere")
PICTURES = ("idefics3", "llava_next", "smolvlm")  # take no text content
REAL = sorted(path for path in FOLDER.glob("*.jinja") if not path.name.startswith(PICTURES))
MARKER = re.compile(r"<[|\uff5c]?[A-Za-z_▁/\-]+[0-9]*[|\uff5c]?>|\[/?[A-Z_]{3,}\]")
NO_MARKER = re.compile(r"think|tool_call>|<function|</?(tools|parameter)>|^</?s>$")
TALK = [
    {"role": "user", "content": "Hi?"},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "One plus two?"},
    {"role": "assistant", "content": "셋"},
]


def real(path: Path, thinking: str) -> Renderer:
    source = path.read_text(encoding="utf-8")
    markers = sorted({text for text in MARKER.findall(source) if not NO_MARKER.search(text)})
    return Renderer(chat_tokenizer(source, markers=markers, bos=True), thinking=thinking)


def template(source: str) -> ChatTemplate:
    codec = Codec(tokenizer := chat_tokenizer(source))
    return ChatTemplate(tokenizer, None, codec.added, codec.special)


@pytest.mark.parametrize(
    ("source", "end", "closed", "switches"),
    [
        (CHATML, "<|im_end|>", True, False),
        (THINKER, "<|im_end|>", True, True),
        (TAILED, "<|im_end|>", True, False),
        (INST.replace("bos_token", "''"), "</s>", True, False),
        (CHATML.replace("<|im_end|>", "<|im_end|></s>"), "<|im_end|></s>", True, False),
        (UNCLOSED, "", False, False),
        (CHATML.replace("<|im_end|>", "<END>"), "<END>", False, False),
    ],
)
def test_the_end_of_a_turn_is_found_once(source: str, end: str, closed: bool, switches: bool) -> None:
    found = template(source)
    assert (found.end, found.closed, found.switches) == (end, closed, switches)


def test_a_turn_is_what_the_template_adds_to_its_own_header() -> None:
    turn = template(TAILED).turn(TALK[:1], TALK[1], None, False)
    assert turn.prompt == "<|im_start|>user\nHi?<|im_end|>\n<|im_start|>assistant\n"
    assert (turn.target, turn.closed) == ("Hello.<|im_end|>", True)
    turn = template(UNCLOSED).turn(TALK[:1], TALK[1], None, False)
    assert (turn.target, turn.closed) == ("Hello.", False)


def test_an_end_that_is_no_token_is_kept_as_text() -> None:
    codec = Codec(tokenizer := byte_tokenizer(template=CHATML))
    turn = ChatTemplate(tokenizer, None, codec.added, codec.special).turn(TALK[:1], TALK[1], None, False)
    assert (turn.target, turn.closed) == ("Hello.<|im_end|>", False)


def test_a_header_that_no_finished_turn_begins_with_is_refused() -> None:
    bent = template(CHATML.replace("'<|im_start|>assistant\\n'", "'<|im_start|>bot\\n'"))
    with pytest.raises(RowError, match="differently before and after an answer"):
        bent.turn(TALK[:1], TALK[1], None, False)


def test_reasoning_the_header_opens_is_closed_in_the_target() -> None:
    opened = template(OPENED)
    message = {"role": "assistant", "content": "<think>why</think>so"}
    assert opened.turn(TALK[:1], message, None, True).target == "why\n</think>\n\nso<|im_end|>"
    assert opened.turn(TALK[:1], message, None, False).target == "\n</think>\n\nso<|im_end|>"


def test_reasoning_that_a_switching_template_drops_is_an_error() -> None:
    forgetful = template(CHATML + "{{ '' if enable_thinking else ' ' }}")
    assert forgetful.switches
    with pytest.raises(RowError, match="leaves out or changes the reasoning"):
        forgetful.turn(TALK[:1], {**TALK[1], "reasoning_content": "why"}, None, True)


@pytest.mark.parametrize("thinking", ["off", "on"])
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_property_real_templates(path: Path, thinking: str) -> None:
    renderer = real(path, thinking)
    shown = [renderer.prompt(TALK[:turns]).tolist() for turns in (1, 3)]
    sequences = renderer.conversation(TALK)
    ends = [[text for text, trained in renderer.pieces(rendered) if trained] for rendered in sequences]
    first, second = (text for texts in ends for text in texts)
    assert "Hello." in first and "셋" in second
    assert not any(text in first + second for text in ("Hi?", "One plus two?"))
    for rendered, prompt in ((sequences[0], shown[0]), (sequences[-1], shown[1])):
        assert (
            rendered.ids[: len(prompt)].tolist() == prompt
        )  # the second prompt continues the first turn, or stands alone
    for rendered in sequences:
        assert (rendered.ids == renderer.bos_id).sum() == 1
        assert int(rendered.ids[-1]) in renderer.stop_ids


@pytest.mark.parametrize("talk", [TALK[:2], TALK], ids=["one turn", "two turns"])
@pytest.mark.parametrize("path", [path for path in REAL if path.stem.endswith("_training")], ids=lambda path: path.stem)
def test_equals_the_marks_of_real_templates(path: Path, talk: list[dict[str, str]]) -> None:
    """Our spans without {% generation %} are those that transformers reads from it.

    Known differences: what the header already shows and white space after the end are no targets of ours; the end and
    every byte of the last character are.
    """
    renderer = real(path, "on")
    renderer._chat.marks = False
    whole = renderer.tokenizer.apply_chat_template(
        talk, enable_thinking=True, thinking=True, return_dict=True, return_assistant_tokens_mask=True
    )
    rendered, *more = renderer.conversation(talk)
    start = int(whole["input_ids"][0] != renderer.bos_id)
    if more or whole["input_ids"][: len(rendered.ids) - start] != rendered.ids[start:].tolist():
        pytest.skip("writes a finished conversation otherwise than a model sees it")
    theirs = np.array([0] * start + whole["assistant_masks"], bool)[: len(rendered.ids)]
    header = renderer.decode(renderer.prompt(talk[:-1]), keep_special=True)[-60:]
    for text, theirs_alone in renderer.pieces(Rendered(rendered.ids, theirs & ~rendered.mask)):
        assert not theirs_alone or text.strip() in header
    for text, ours_alone in renderer.pieces(Rendered(rendered.ids, rendered.mask & ~theirs)):
        assert not ours_alone or text.removeprefix("셋") in ("", renderer._chat.end)
