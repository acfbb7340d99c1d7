"""A local model's samples: the engine's log-probabilities, the same in any batch, from the seed alone."""

import itertools
from collections import Counter
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BloomConfig,
    BloomForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from espalier.contracts import LM
from espalier.errors import ModelError, RecipeError, RowError
from espalier.lm.local import Local
from espalier.models.roles import Role
from espalier.render import Renderer
from espalier.spending import counting
from espalier.trees.engine import Engine
from espalier.trees.forest import Forest
from espalier.trees.tree import Branch, Tree
from tests.tokenizers import byte_tokenizer, chat_tokenizer

PROMPTS = ["Once upon a time", "Hi", "", "The prompt that is the longest of them all, by far"]
SIZE = {"vocab_size": 260, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def llama(**more: Any) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(**SIZE, num_key_value_heads=2, initializer_range=0.4, max_position_embeddings=128, **more)
    return LlamaForCausalLM(config)


def local(model: Any = None, **more: Any) -> Local:
    return Local(Engine(model or llama(), **more), Renderer(byte_tokenizer(), template="plain"))


@pytest.fixture(scope="module")
def lm() -> Local:
    return local()


def engine_logps(lm: Local, prompt: str, ids: tuple[int, ...]) -> torch.Tensor:
    start = lm.renderer.prompt(prompt).tolist()
    mask = [False] * len(start) + [True] * len(ids)
    path = Branch(torch.tensor([*start, *ids], dtype=torch.int32).numpy(), torch.tensor(mask).numpy())
    with torch.no_grad():
        return lm.role.token_logps(Forest([Tree((path,))]))


def test_equals_the_engine_token_by_token(lm):
    for prompt, samples in zip(PROMPTS, lm.sample(PROMPTS, n=3, max_tokens=20, seed=1), strict=True):
        for sample in samples:
            expected = engine_logps(lm, prompt, sample.ids)
            torch.testing.assert_close(torch.tensor(sample.logps), expected, atol=1e-4, rtol=0)  # float32


def test_equals_the_engine_at_another_temperature_and_top_p(lm):
    [[sample]] = lm.sample(["Hi"], temperature=0.6, top_p=0.8, max_tokens=20)
    torch.testing.assert_close(torch.tensor(sample.logps), engine_logps(lm, "Hi", sample.ids), atol=1e-4, rtol=0)


def test_equals_the_engine_in_float64():
    lm = local(llama().double())
    [[sample], _] = lm.sample(["Hi", "Another one"], max_tokens=20)
    found = torch.tensor(sample.logps, dtype=torch.float64)
    torch.testing.assert_close(found, engine_logps(lm, "Hi", sample.ids), atol=1e-11, rtol=0)


def test_equals_the_engine_in_bfloat16_autocast():
    lm = local(autocast=torch.bfloat16)
    [[sample], _] = lm.sample(["Hi", "Another one"], max_tokens=20)
    found = torch.tensor(sample.logps)
    torch.testing.assert_close(found, engine_logps(lm, "Hi", sample.ids), atol=0.15, rtol=0)  # eight bits of mantissa


def test_equals_the_engine_behind_a_window_shorter_than_the_prompt():
    torch.manual_seed(0)
    config = MistralConfig(**SIZE, num_key_value_heads=2, sliding_window=4, initializer_range=0.4)
    lm = local(MistralForCausalLM(config))
    for prompt, [sample] in zip(PROMPTS, lm.sample(PROMPTS, max_tokens=20), strict=True):
        expected = engine_logps(lm, prompt, sample.ids)
        torch.testing.assert_close(torch.tensor(sample.logps), expected, atol=1e-4, rtol=0)


def bloom() -> BloomForCausalLM:
    return BloomForCausalLM(BloomConfig(vocab_size=260, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.4))


def mamba() -> MambaForCausalLM:
    return MambaForCausalLM(MambaConfig(vocab_size=260, hidden_size=32, num_hidden_layers=2, state_size=4))


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize("make", [bloom, mamba])
def test_models_that_cannot_share_generate_too(make):
    torch.manual_seed(0)
    lm = local(make(), layout="rows")
    for prompt, samples in zip(PROMPTS, lm.sample(PROMPTS, n=2, max_tokens=6), strict=True):
        for sample in samples:
            expected = engine_logps(lm, prompt, sample.ids)
            torch.testing.assert_close(torch.tensor(sample.logps), expected, atol=1e-4, rtol=0)


def test_property_other_prompts_in_the_batch_change_nothing(lm):
    asked = {"n": 2, "max_tokens": 30, "seed": 5}
    together = lm.sample(PROMPTS, **asked)
    apart = [lm.sample([prompt], **asked)[0] for prompt in PROMPTS]
    backwards = lm.sample(PROMPTS[::-1], **asked)[::-1]
    for one, two, three in zip(together, apart, backwards, strict=True):
        assert [s.ids for s in one] == [s.ids for s in two] == [s.ids for s in three]


def test_property_greedy_is_the_same_in_any_batch_and_is_the_likeliest(lm):
    together = lm.sample(PROMPTS, temperature=0, max_tokens=30)
    for prompt, [sample] in zip(PROMPTS, together, strict=True):
        assert lm.sample([prompt], temperature=0, max_tokens=30)[0][0].ids == sample.ids
    assert lm.complete(PROMPTS[0], n=2, max_tokens=30) == [together[0][0].text] * 2
    start = lm.renderer.prompt(PROMPTS[0]).tolist()
    ids = torch.tensor([[*start, *together[0][0].ids]])
    with torch.no_grad():
        likeliest = lm.role.inner.model(ids).logits[0].argmax(-1).tolist()
    assert likeliest[len(start) - 1 : -1] == list(together[0][0].ids)


def test_property_a_smaller_token_budget_gives_the_same_samples(lm):
    small = Local(lm.role, lm.renderer, tokens_per_batch=64)
    asked = {"n": 3, "max_tokens": 12}
    for one, two in zip(lm.sample(PROMPTS, **asked), small.sample(PROMPTS, **asked), strict=True):
        assert [s.ids for s in one] == [s.ids for s in two]


def test_property_the_seed_decides_and_equal_prompts_differ(lm):
    first, second = lm.sample(["Hi", "Hi"], n=2, max_tokens=12, seed=3)
    assert [first, second] == lm.sample(["Hi", "Hi"], n=2, max_tokens=12, seed=3)
    assert len({s.ids for s in [*first, *second, *lm.sample(["Hi"], max_tokens=12, seed=4)[0]]}) == 5


def test_property_samples_follow_the_model():
    lm = local()
    counts = Counter(s.ids[0] for s in lm.sample(["Hi"], n=2000, max_tokens=1)[0])
    ids = torch.tensor([lm.renderer.prompt("Hi").tolist()])
    with torch.no_grad():
        p = torch.softmax(lm.role.inner.model(ids).logits[0, -1], -1)
    for token, share in zip(p.topk(5).indices.tolist(), p.topk(5).values.tolist(), strict=True):
        assert counts[token] / 2000 == pytest.approx(share, abs=4 * (share * (1 - share) / 2000) ** 0.5)


def prefer(model: LlamaForCausalLM, token: int, strength: float = 50.0) -> LlamaForCausalLM:
    model.lm_head.bias = torch.nn.Parameter(torch.zeros(260))
    model.lm_head.bias.data[token] = strength
    return model


def test_an_end_token_ends_the_answer_and_is_not_in_its_text():
    lm = local()
    stop = lm.renderer.stop_ids[0]
    prefer(lm.role.inner.model, stop)
    [[sample]] = lm.sample(["Hi"], max_tokens=5)
    assert sample.ids == (stop,) and sample.text == "" and sample.ended


def test_rows_that_ended_leave_the_others_alone(lm):
    free = local()
    stop = free.renderer.stop_ids[0]
    prefer(free.role.inner.model, stop, 6.0)
    samples = free.sample(PROMPTS, n=4, max_tokens=25, seed=2)
    lengths = {len(s.ids) for row in samples for s in row}
    assert len(lengths) > 3  # rows ended at different steps
    for prompt, row in zip(PROMPTS, samples, strict=True):
        for s in row:
            assert s.ended == (s.ids[-1] == stop) and stop not in s.ids[:-1]
            torch.testing.assert_close(torch.tensor(s.logps), engine_logps(free, prompt, s.ids), atol=1e-4, rtol=0)


def test_an_answer_stops_where_the_context_is_full(lm):
    prefer(free := llama(), ord("x"))
    short = local(free)
    [[sample]] = short.sample(["a" * 120], max_tokens=50)
    assert len(sample.ids) == 128 - 121 and not sample.ended
    with pytest.raises(RowError, match="129 tokens long and the model reads 128"):
        lm.sample(["a" * 128])
    with pytest.raises(RowError, match="130 tokens and the model reads 128"):
        lm.logprobs("a" * 100, ["b" * 28])


def test_an_empty_prompt_needs_a_start_token(lm):
    assert len(lm.sample([""], max_tokens=3)[0][0].ids) > 0
    bare = Local(lm.role, Renderer(byte_tokenizer(bos=False), template="plain"))
    with pytest.raises(RowError, match="no start token"):
        bare.sample([""])


@pytest.mark.parametrize("wrong", [{"temperature": -1.0}, {"top_p": 0.0}, {"max_tokens": 0}, {"n": 0}])
def test_what_cannot_be_asked_is_refused(lm, wrong):
    with pytest.raises(RecipeError, match="must be at least"):
        lm.sample(["Hi"], **wrong)


def test_weights_that_are_not_finite_are_named():
    model = llama()
    model.model.norm.weight.data.fill_(float("nan"))
    with pytest.raises(ModelError, match="not finite"):
        local(model).sample(["Hi"])


def test_equals_the_engine_on_given_completions(lm):
    found = lm.logprobs("Once", [" upon", " more, please"])
    for completion, value in zip([" upon", " more, please"], found, strict=True):
        ids = tuple(lm.renderer.completion("Once", completion).ids[5:].tolist())  # the end token counts
        assert value == pytest.approx(float(engine_logps(lm, "Once", ids).sum()), abs=1e-4)
    assert lm.logprobs("Once", []) == []


def parrot(text: str) -> LlamaForCausalLM:
    """A model that says one text, in which no byte occurs twice, after a question mark: its head is a table."""
    model = LlamaForCausalLM(LlamaConfig(**SIZE | {"hidden_size": 264}, num_key_value_heads=4))
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(260, 264))
        model.lm_head.weight.zero_()
        ids = byte_tokenizer().encode(f"?{text}</s>", add_special_tokens=False)
        for before, after in itertools.pairwise(ids):
            model.lm_head.weight[after, before] = 1.0
    return model


def test_stream_gives_whole_characters():
    assert list(local(parrot("네, 谢!")).stream("?", temperature=0)) == ["네", ",", " ", "谢", "!"]


def test_property_stream_gives_the_text_of_the_sample(lm):
    for seed in range(3):  # a random model of bytes: most are no characters
        [[sample]] = lm.sample(["Hi"], max_tokens=40, seed=seed)
        assert "".join(lm.stream("Hi", max_tokens=40, seed=seed)) == sample.text


def test_stream_leaves_the_model_as_it_was_between_pieces():
    lm = local(llama(attention_dropout=0.5))
    model = lm.role.inner.model
    model.train()
    model.model.layers[0].eval()
    pieces = lm.stream("Hi", max_tokens=20)
    next(pieces)
    assert torch.is_grad_enabled() and model.training and not model.model.layers[0].training
    assert model.config._attn_implementation == lm.role.inner.own_attention
    assert "".join(pieces)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_an_adapter_speaks_and_falls_silent_with_its_role():
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj", "lm_head"], init_lora_weights=False)
    model = get_peft_model(llama(), config)
    tuned = local(model)
    base = Local(Role(tuned.role.engine, context=model.disable_adapter), tuned.renderer)
    plain = local()
    [[one]], [[two]], [[three]] = (lm.sample(["Hi there"], max_tokens=15) for lm in (tuned, base, plain))
    assert two.ids == three.ids != one.ids
    torch.testing.assert_close(torch.tensor(one.logps), engine_logps(tuned, "Hi there", one.ids), atol=1e-4, rtol=0)


def test_a_local_model_is_a_language_model(lm):
    client: LM = lm
    assert len(client.complete("Hi", n=2, temperature=1.0, max_tokens=4)) == 2


@pytest.mark.data
def test_a_real_model_tells_a_story_and_ends_it(data_folder):
    folder = data_folder.parent / "models" / "stories260k"
    lm = Local(Engine(AutoModelForCausalLM.from_pretrained(folder)), Renderer(AutoTokenizer.from_pretrained(folder)))
    lm.renderer.stop_ids = (lm.renderer.bos_id,)  # it was trained on stories that only a start token parts
    opening = "Once upon a time, there was a little girl named Lily."
    [[story], *others] = lm.sample([opening, "One day", "Tom"], temperature=0, max_tokens=400)
    assert story.text.startswith(" She loved to play outside in the park. One day, she saw a big, red ball.")
    assert story.ended and len(story.text) > 200 and len(others) == 2
    assert "".join(lm.stream(opening, temperature=0, max_tokens=400)) == story.text


def test_equals_an_answer_gone_on_with_where_it_was_cut(lm):
    (whole,) = lm.sample(["Hi"], temperature=0.0, max_tokens=12)[0]
    assert "".join(whole.tokens) == whole.text and len(whole.tokens) == len(whole.logps)
    begun = "there, "
    prompt = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": begun}]
    ids = lm.renderer.prompt(f"Hi{begun}")  # without a template a prompt is text, and its answer stands right behind it
    assert (
        lm.sample([prompt], temperature=0.0, max_tokens=5)[0][0].ids
        == lm.sample_ids([ids], temperature=0.0, max_tokens=5)[0][0].ids
    )
    assert lm.complete(prompt, max_tokens=5) == lm.complete(f"Hi{begun}", max_tokens=5)


def test_an_answer_is_gone_on_with_inside_its_turn(lm):
    talk = Local(lm.role, Renderer(chat_tokenizer(bos=True, pad="<|im_start|>")))
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "It is"}]
    prompt = talk.renderer.prompt("Hi").tolist()
    ids = talk._ids(messages).tolist()
    assert ids[: len(prompt)] == prompt and talk.renderer.decode(ids[len(prompt) :], keep_special=True) == "It is"


def test_what_is_spent_is_counted(lm):
    with counting() as spent:
        lm.sample(["Hi"], temperature=0.0, max_tokens=3)
        lm.logprobs("Hi", ["a", "b"])
    assert spent["calls"] == 3 and spent["prompt_tokens"] > spent["completion_tokens"] > 0
