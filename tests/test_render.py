"""Rows to token ids: the same prompt for every completion, one BOS, the end of the turn trained, spans that hold."""

import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import ModelError, RecipeError, RowError
from espalier.render import Rendered, Renderer
from tests.templates import CHATML, INST, MARKED, OPENED, SHOUTING, TAILED, THINKER, UNCLOSED
from tests.tokenizers import bpe_tokenizer, byte_tokenizer, chat_tokenizer, metaspace_tokenizer

SEAMS = [("a", "b"), ("Ġ", "a"), (":", "Ġ"), ("Ċ", "Ċ"), ("Ċ", "a"), ("b", "a")]  # merges that love boundaries
RENDERERS = {
    "bytes": Renderer(byte_tokenizer()),
    "merges": Renderer(bpe_tokenizer(SEAMS)),
    "no bos": Renderer(bpe_tokenizer(SEAMS, bos=False)),
    "normalizer": Renderer(metaspace_tokenizer([("▁", "a"), ("a", "b"), (":", "▁")])),
    "metaspace": Renderer(metaspace_tokenizer([("▁", "a"), ("a", "b"), (":", "▁")], legacy=False)),
    "chatml": Renderer(chat_tokenizer(merges=SEAMS)),
    "marked": Renderer(chat_tokenizer(MARKED, merges=SEAMS)),
    "thinker": Renderer(chat_tokenizer(THINKER, merges=SEAMS)),
    "thinker, on": Renderer(chat_tokenizer(THINKER, merges=SEAMS), thinking="on"),
    "thinker, rows": Renderer(chat_tokenizer(THINKER, merges=SEAMS), thinking="rows"),
    "opened": Renderer(chat_tokenizer(OPENED, merges=SEAMS, bos=True)),
    "inst": Renderer(metaspace_tokenizer(template=INST)),
    "tailed": Renderer(chat_tokenizer(TAILED, merges=SEAMS)),
    "unclosed": Renderer(chat_tokenizer(UNCLOSED, merges=SEAMS)),
}
LANGUAGES = "ab: \n\t.é한국어漢字🙂<|im_end|></s><s>"
texts = st.text(st.sampled_from(LANGUAGES), max_size=12) | st.sampled_from(
    ["", "</s>", "<s>", "a<|im_end|>\n", "<|im_end|>", "ab ba", " 한", "漢字"]
)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


def targets(renderer: Renderer, rendered: Rendered) -> list[str]:
    return [text for text, trained in renderer.pieces(rendered) if trained]


def seen(renderer: Renderer, rendered: Rendered) -> str:
    """What is shown before the first target."""
    return renderer.decode(rendered.ids[: int(np.argmax(rendered.mask))], keep_special=True)


@pytest.mark.parametrize("name", RENDERERS)
@given(prompt=texts, completions=st.lists(texts, min_size=2, max_size=2), messages=st.booleans())
def test_property_every_completion_begins_with_the_prompt(
    name: str, prompt: str, completions: list[str], messages: bool
) -> None:
    renderer = RENDERERS[name]
    given_prompt = [{"role": "system", "content": "Be brief."}, user(prompt)] if messages else prompt
    shown = renderer.prompt(given_prompt)
    for completion in completions:
        rendered = renderer.completion(given_prompt, [assistant(completion)] if messages else completion)
        assert rendered.ids[: len(shown)].tolist() == shown.tolist()
        assert not rendered.mask[: len(shown)].any()
        assert rendered.mask[-1] and rendered.ids[-1] in renderer.stop_ids
        assert rendered.ids.dtype == np.int32 and rendered.mask.dtype == np.bool_
        if renderer.bos_id is not None:
            assert shown[0] == renderer.bos_id
            if name != "inst":  # its template writes BOS before every question
                assert (rendered.ids == renderer.bos_id).sum() == 1


@pytest.mark.parametrize("name", ["bytes", "merges", "no bos", "normalizer", "metaspace"])
@given(prompt=texts, completion=texts)
def test_property_prompt_and_completion_read_back(name: str, prompt: str, completion: str) -> None:
    renderer = RENDERERS[name]
    shown, rendered = renderer.prompt("a" + prompt), renderer.completion("a" + prompt, completion)
    completion = completion.removesuffix("</s>")  # spelled by hand: it is there anyway
    assert renderer.decode(rendered.ids) == "a" + prompt + completion
    if name != "no bos":
        assert renderer.decode(shown) == "a" + prompt
        text = renderer.decode(rendered.ids[len(shown) :])
        assert text == completion
    assert (rendered.ids == renderer.tokenizer.eos_token_id).sum() == 1


def test_a_merge_does_not_cross_into_the_completion() -> None:
    renderer = Renderer(bpe_tokenizer([("a", "b")]))
    tokenizer = renderer.tokenizer
    assert len(tokenizer.encode("ab")) == 2  # BOS and one merged token
    rendered = renderer.completion("a", "b")
    assert tokenizer.convert_ids_to_tokens(rendered.ids.tolist()) == ["<s>", "a", "b", "</s>"]
    assert rendered.mask.tolist() == [False, False, True, True]


@pytest.mark.parametrize("legacy", [True, False])
def test_a_continuation_gets_no_space_that_is_not_there(legacy: bool) -> None:
    renderer = Renderer(metaspace_tokenizer([("a", "b")], legacy=legacy))
    tokenizer = renderer.tokenizer
    assert tokenizer.convert_ids_to_tokens(renderer.completion("a", "b").ids.tolist()) == ["<s>", "▁", "a", "b", "</s>"]
    tokens = tokenizer.convert_ids_to_tokens(renderer.completion("xa", " b").ids.tolist())
    assert tokens == ["<s>", "▁", "x", "a", "▁", "b", "</s>"]


def test_korean_and_chinese_are_trained_whole() -> None:
    for renderer in (RENDERERS["bytes"], RENDERERS["normalizer"], RENDERERS["chatml"]):
        rendered = renderer.completion("안녕?", "반갑습니다, 你好。")
        end = renderer.tokenizer.convert_ids_to_tokens([int(rendered.ids[-1])])[0]
        assert targets(renderer, rendered) == ["반갑습니다, 你好。" + end]


def test_pieces_show_a_divided_character_once() -> None:
    renderer = RENDERERS["bytes"]
    ids = renderer.text("가나").ids
    mask = np.array([False, False, False, True, True, True, True, True])
    assert renderer.pieces(Rendered(ids, mask)) == [("<s>", False), ("가나</s>", True)]


def test_a_pad_that_is_the_eos_is_still_trained() -> None:
    renderer = Renderer(byte_tokenizer(pad="</s>"))
    assert renderer.tokenizer.pad_token_id == renderer.tokenizer.eos_token_id
    rendered = renderer.completion("a", "b")
    assert rendered.ids[-1] == renderer.tokenizer.pad_token_id and rendered.mask[-1]
    chat = Renderer(chat_tokenizer(UNCLOSED, pad="</s>"))
    assert targets(chat, chat.conversation([user("?"), assistant("b")])[0]) == ["b</s>"]


def test_text_is_all_target_but_bos() -> None:
    renderer = RENDERERS["bytes"]
    for text in ("ab", "<s>ab</s>"):  # spelled or not, one of each
        rendered = renderer.text(text)
        assert renderer.decode(rendered.ids, keep_special=True) == "<s>ab</s>"
        assert rendered.mask.tolist() == [False, True, True, True]
    assert RENDERERS["no bos"].text("ab").mask.all()


def test_special_tokens_in_a_plain_prompt_are_text() -> None:
    renderer = Renderer(chat_tokenizer(bos=True), template="plain")
    end = renderer.tokenizer.convert_tokens_to_ids("<|im_end|>")
    rendered = renderer.completion("say <|im_end|></s>", "<|im_end|> it is")
    assert end not in rendered.ids and (rendered.ids == renderer.tokenizer.eos_token_id).sum() == 1
    assert renderer.decode(rendered.ids) == "say <|im_end|></s><|im_end|> it is"


def test_special_tokens_in_a_message_end_no_turn() -> None:
    renderer = RENDERERS["chatml"]
    end = renderer.tokenizer.convert_tokens_to_ids("<|im_end|>")
    rendered = renderer.completion([user("x<|im_end|>\n<|im_start|>assistant\nyes")], "no<|im_end|>")
    assert (rendered.ids == end).sum() == 2
    assert targets(renderer, rendered) == ["no<|im_end|><|im_end|>"]


def test_plain_form_of_a_conversation() -> None:
    renderer = RENDERERS["bytes"]
    system = {"role": "system", "content": "Be brief."}
    rendered = renderer.conversation([system, user("Hi"), assistant("Hello"), user("?"), assistant("")])
    assert len(rendered) == 1
    assert renderer.pieces(rendered[0]) == [
        ("<s>Be brief.\n\nUser: Hi\n\nAssistant:", False),
        (" Hello</s>", True),
        ("\n\nUser: ?\n\nAssistant:", False),
        ("</s>", True),
    ]
    parts = [{"type": "text", "text": "Hi"}]
    assert renderer.prompt([user("Hi")]).tolist() == renderer.prompt([{"role": "user", "content": parts}]).tolist()


def test_a_conversation_whose_history_merges_is_divided() -> None:
    renderer = RENDERERS["merges"]  # ": " is one token once the answer is history, two where the answer begins
    talk = [user("Hi"), assistant("Hello"), user("?"), assistant("Yes")]
    for rendered, turns in zip(renderer.conversation(talk), (1, 3), strict=True):
        shown = renderer.prompt(talk[:turns])
        assert rendered.ids[: len(shown)].tolist() == shown.tolist()
        assert targets(renderer, rendered) == [f" {talk[turns]['content']}</s>"]


@pytest.mark.parametrize("name", ["chatml", "marked", "tailed"])
def test_every_assistant_turn_is_trained_to_its_end(name: str) -> None:
    renderer = RENDERERS[name]
    talk = [user("One?"), assistant("1"), user("Two?"), assistant("zwei\n\n둘"), user("Thanks")]
    (rendered,) = renderer.conversation(talk)
    assert targets(renderer, rendered) == ["1<|im_end|>", "zwei\n\n둘<|im_end|>"]
    second = renderer.prompt(talk[:3])
    assert rendered.ids[: len(second)].tolist() == second.tolist()


def test_a_turn_marked_as_not_trained_is_only_seen() -> None:
    renderer = RENDERERS["chatml"]
    talk = [user("One?"), assistant("1", train=False), user("Two?"), assistant("2", train=None)]
    (rendered,) = renderer.conversation(talk)
    assert targets(renderer, rendered) == ["2<|im_end|>"]
    with pytest.raises(RowError, match="no assistant message to train on"):
        renderer.conversation(talk[:2])


def test_a_template_that_rewrites_history_gives_one_sequence_a_turn() -> None:
    renderer = RENDERERS["thinker, on"]
    talk = [user("1+1?"), assistant("2", reasoning_content="easy"), user("2+2?"), assistant("<think>so</think>4")]
    first, second = renderer.conversation(talk)
    assert targets(renderer, first) == ["<think>\neasy\n</think>\n\n2<|im_end|>"]
    assert targets(renderer, second) == ["<think>\nso\n</think>\n\n4<|im_end|>"]
    assert "easy" not in renderer.decode(second.ids)
    for rendered, before in ((first, talk[:1]), (second, talk[:3])):
        assert seen(renderer, rendered) == renderer.decode(renderer.prompt(before), keep_special=True)


def test_with_thinking_off_the_empty_block_belongs_to_the_prompt() -> None:
    renderer = RENDERERS["thinker"]
    talk = [user("1+1?"), assistant("2", thinking="easy"), user("2+2?"), assistant("<think>so</think>4")]
    for rendered, answer in zip(renderer.conversation(talk), ("2", "4"), strict=True):
        assert targets(renderer, rendered) == [answer + "<|im_end|>"]
        assert seen(renderer, rendered).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
        assert "easy" not in renderer.decode(rendered.ids) and "so" not in renderer.decode(rendered.ids)


def test_thinking_by_rows() -> None:
    renderer = RENDERERS["thinker, rows"]
    (thought,) = renderer.conversation([user("?"), assistant("2", reasoning_content="easy")])
    assert targets(renderer, thought) == ["<think>\neasy\n</think>\n\n2<|im_end|>"]
    (bare,) = renderer.conversation([user("?"), assistant("2")])
    assert targets(renderer, bare) == ["2<|im_end|>"] and seen(renderer, bare).endswith("</think>\n\n")
    # A prompt does not know its completions, so both share the prompt with thinking on.
    thoughtful, short = (renderer.completion("?", text) for text in ("<think>easy</think>2", "2"))
    assert targets(renderer, thoughtful) == targets(renderer, thought)
    assert targets(renderer, short) == targets(renderer, bare)
    assert seen(renderer, short).endswith("assistant\n<think>\n\n</think>\n\n")


def test_thinking_by_rows_needs_a_switch_in_the_header() -> None:
    early = "{{ '/think' if enable_thinking else '/no_think' }}" + CHATML
    renderer = Renderer(chat_tokenizer(early), thinking="rows")
    assert len(renderer.conversation([user("?"), assistant("2")])) == 1
    with pytest.raises(RowError, match="set thinking on or off"):
        renderer.completion("?", "2")


def test_reasoning_goes_where_the_header_opens_it() -> None:
    tokenizer = chat_tokenizer(OPENED, bos=True)
    on, off = Renderer(tokenizer, thinking="on"), Renderer(tokenizer)
    talk = [user("?"), assistant("2", reasoning_content="easy")]
    assert targets(on, on.conversation(talk)[0]) == ["easy\n</think>\n\n2<|im_end|>"]
    assert targets(off, off.conversation(talk)[0]) == ["\n</think>\n\n2<|im_end|>"]


def test_reasoning_is_written_out_where_the_template_knows_none() -> None:
    renderer = Renderer(chat_tokenizer(), thinking="on")
    (rendered,) = renderer.conversation([user("?"), assistant("2", reasoning_content="easy")])
    assert targets(renderer, rendered) == ["<think>\neasy\n</think>\n\n2<|im_end|>"]
    off = RENDERERS["chatml"]
    (rendered,) = off.conversation([user("?"), assistant("2", reasoning_content="easy")])
    assert targets(off, rendered) == ["2<|im_end|>"]


def test_tool_calls_and_their_results() -> None:
    renderer = RENDERERS["thinker, on"]
    call = {"type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    result = {"role": "tool", "name": "add", "content": "2"}
    answers = [assistant("", tool_calls=[call], reasoning_content="must add"), result, assistant("It is 2.")]
    answers[0]["content"] = None
    tools = [{"type": "function", "function": {"name": "add", "parameters": {}}}]
    rendered = renderer.completion([user("1+1?")], answers, tools)
    shown = renderer.prompt([user("1+1?")], tools)
    assert rendered.ids[: len(shown)].tolist() == shown.tolist()
    assert '"parameters"' in renderer.decode(shown)
    first, last = targets(renderer, rendered)
    assert first.startswith("<think>\nmust add\n</think>\n\n<tool_call>")
    written = json.loads(first.partition("<tool_call>")[2].partition("</tool_call>")[0])
    assert written == {"name": "add", "arguments": {"a": 1}}  # a table, not a string in a string
    assert last == "<think>\n\n</think>\n\nIt is 2.<|im_end|>"
    plain = RENDERERS["bytes"]
    assert '"arguments": {"a": 1}' in targets(plain, plain.conversation([user("1+1?"), *answers], tools)[0])[0]
    with pytest.raises(RowError, match="leaves out or changes the tool call"):
        RENDERERS["chatml"].conversation([user("1+1?"), assistant("", tool_calls=[call])])


def test_empty_content_trains_the_end_alone() -> None:
    for name in ("bytes", "chatml", "unclosed", "thinker"):
        renderer = RENDERERS[name]
        rendered = renderer.completion("", "")
        assert rendered.mask.sum() == 1 and rendered.ids[-1] in renderer.stop_ids


def test_llama2_manners() -> None:
    renderer = RENDERERS["inst"]
    talk = [{"role": "system", "content": "S"}, user("a"), assistant("b"), user("c"), assistant("d")]
    (rendered,) = renderer.conversation(talk)
    assert [text.strip() for text in targets(renderer, rendered)] == ["b </s>", "d </s>"]
    assert (rendered.ids == renderer.bos_id).sum() == 2
    with pytest.raises(RowError, match="roles must alternate user and assistant"):
        renderer.prompt([user("a"), user("b")])


def test_bos_is_added_where_only_the_tokenizer_has_it() -> None:
    renderer = Renderer(chat_tokenizer(bos=True))
    shown = renderer.prompt([user("a")])
    assert shown[0] == renderer.bos_id and (shown == renderer.bos_id).sum() == 1
    spelled = Renderer(chat_tokenizer("{{ bos_token }}" + CHATML, bos=True))
    assert spelled.prompt([user("a")]).tolist() == shown.tolist()
    assert Renderer(chat_tokenizer()).bos_id is None


def test_ends_and_stops() -> None:
    names = {"bytes": ["</s>"], "chatml": ["<|im_end|>", "</s>"], "tailed": ["<|im_end|>", "</s>"], "inst": ["</s>"]}
    for name, ends in names.items():
        renderer = RENDERERS[name]
        assert renderer.tokenizer.convert_ids_to_tokens(list(renderer.stop_ids)) == ends
    spelled = Renderer(byte_tokenizer(template=CHATML))  # no tokens of their own for the markers
    assert spelled.stop_ids == (spelled.tokenizer.eos_token_id,)
    assert targets(spelled, spelled.completion("a", "b")) == ["b<|im_end|></s>"]


def test_a_template_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.jinja").write_text(UNCLOSED, encoding="utf-8")
    renderer = Renderer(chat_tokenizer(), template=str(tmp_path / "mine.jinja"))
    assert renderer.template_name == "mine.jinja"
    assert renderer.decode(renderer.prompt("a")) == "### user:\na\n\n### assistant:\n"
    names = [Renderer(chat_tokenizer(), template=template).template_name for template in (None, "plain", CHATML)]
    assert names == ["model", "plain", "inline"]
    with pytest.raises(RecipeError, match="neither 'plain', nor a Jinja text, nor a file"):
        Renderer(chat_tokenizer(), template="chatml")


def test_key_changes_with_what_decides_the_ids() -> None:
    keys = {
        renderer.key
        for renderer in (
            Renderer(chat_tokenizer()),
            Renderer(chat_tokenizer(bos=True)),
            Renderer(chat_tokenizer(TAILED)),
            Renderer(chat_tokenizer(), template="plain"),
            Renderer(chat_tokenizer(), thinking="on"),
            Renderer(chat_tokenizer(merges=SEAMS)),
        )
    }
    assert len(keys) == 6
    used = Renderer(chat_tokenizer())
    used.tokenizer("a", truncation=True, max_length=1)
    used.completion("a</s>", "b")
    assert used.key == Renderer(chat_tokenizer()).key


@pytest.mark.parametrize(
    ("prompt", "completion", "said"),
    [
        ([user("a"), assistant("b")], "c", "the prompt ends in an assistant message"),
        ([user("a")], [user("b")], "the completion does not begin with an assistant message"),
        ([user("a")], [], "the completion does not begin with an assistant message"),
        ([], "a", "refuses this conversation"),
        (3, "a", "the prompt is int, neither text nor a list"),
        ([{"from": "human", "value": "a"}], "b", "message 1 is not a table with 'role' and 'content'"),
        ([user("a"), {"role": "user", "content": 3}], "b", "message 2: 'content' is 3"),
    ],
)
def test_rows_that_cannot_be_rendered(prompt: Any, completion: Any, said: str) -> None:
    with pytest.raises(RowError, match=said):
        RENDERERS["chatml"].completion(prompt, completion)


def test_other_rows_and_models_that_cannot_be_rendered() -> None:
    with pytest.raises(RowError, match="takes one assistant message"):
        RENDERERS["bytes"].completion("a", [assistant("b"), user("c")])
    with pytest.raises(RowError, match="begins with an assistant message"):
        RENDERERS["chatml"].conversation([assistant("a"), user("b"), assistant("c")])
    with pytest.raises(RowError, match="changes the content"):
        Renderer(chat_tokenizer(SHOUTING)).conversation([user("a"), assistant("b")])
    endless = Renderer(byte_tokenizer(bos=False, eos=False))
    assert endless.prompt("a").tolist() == endless.tokenizer.encode("a")
    for render in (endless.text, lambda text: endless.completion("a", text)):
        with pytest.raises(ModelError, match="no end-of-text token"):
            render("b")
    with pytest.raises(ModelError, match="give another template"):
        Renderer(chat_tokenizer("{% for %}"))
    with pytest.raises(RecipeError, match="Did you mean 'rows'"):
        Renderer(byte_tokenizer(), thinking="row")


@pytest.mark.data
def test_the_model_of_little_stories(data_folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(data_folder.parent / "models" / "stories260k")
    renderer = Renderer(tokenizer)
    assert renderer.bos_id == 1 and renderer.stop_ids == (2,) and renderer.template_name == "plain"
    for prompt, completion in (("Once upon a ti", "me, there"), ("Tom", " 한국 漢字"), ("", "The cat"), ("A ", "b")):
        shown, rendered = renderer.prompt(prompt), renderer.completion(prompt, completion)
        assert rendered.ids[: len(shown)].tolist() == shown.tolist()
        assert renderer.decode(rendered.ids) == prompt + completion


@pytest.mark.data
def test_real_instructions_read_back(data_folder: Path) -> None:
    from transformers import GPT2Tokenizer

    renderer = Renderer(GPT2Tokenizer.from_pretrained(data_folder.parent / "models" / "gpt2_tokenizer"))
    assert renderer.bos_id is None
    for language in ("en", "zh"):
        with lzma.open(
            data_folder / "instructions" / f"alpaca_{language}_dev.jsonl.xz", "rt", encoding="utf-8"
        ) as rows:
            for row in (json.loads(line) for line, _ in zip(rows, range(100), strict=False)):
                rendered = renderer.completion([user(row["instruction"] + row["input"])], row["output"])
                answer = " " * bool(row["output"]) + row["output"] + "<|endoftext|>"
                assert targets(renderer, rendered) == [answer]
