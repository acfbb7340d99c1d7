"""Tokenizers in GGUF: what llama.cpp makes of the file is what the Hugging Face tokenizer makes of the text."""

import pytest
from gguf import GGUFReader, GGUFWriter
from tokenizers import Regex, normalizers, pre_tokenizers

from espalier.errors import ModelError
from espalier.export.gguf_encode import Encoder
from espalier.export.gguf_tokenizer import BYTE, CONTROL, UNUSED, USER_DEFINED, WORDS, Vocabulary
from espalier.models.load import ASSETS, load_tokenizer
from tests.export.runs import byte_level
from tests.tokenizers import metaspace_tokenizer

TEXTS = [
    "Hello  world!\n\nI'll say it's 2,145 km (1:30)...\t", " leading", "서울은 대한민국의 수도입니다. 東京 12345",
    "<|im_start|>user\nHi<|im_end|>", "DON'T  stop_it   \n\n x", "naïve café 🙂 — done",
]  # fmt: skip
MERGES = [
    ("h", "e"),
    ("l", "l"),
    ("he", "ll"),
    ("hell", "o"),
    ("Ġ", "w"),
    ("o", "r"),
    ("Ġw", "or"),
    ("1", "2"),
    ("'", "l"),
]


def cut(*rules):
    splits = [pre_tokenizers.Split(Regex(rule), "isolated") for rule in rules]
    return pre_tokenizers.Sequence([*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def through_a_file(tokenizer, folder, start=None):
    writer = GGUFWriter(folder / "t.gguf", "llama")
    Vocabulary.of(tokenizer, len(tokenizer)).write(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return Encoder(Vocabulary.read(GGUFReader(folder / "t.gguf")), start)


@pytest.mark.parametrize("name", WORDS)
def test_equals_hugging_face_for_every_way_of_cutting_words(name, tmp_path):
    tokenizer = byte_level(cut=cut(*WORDS[name]), merges=MERGES)
    if name == "qwen2":
        tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    encoder = through_a_file(tokenizer, tmp_path)
    assert encoder.vocabulary.pre == name
    for text in TEXTS:
        assert encoder.encode(text) == tokenizer.encode(text, add_special_tokens=False), text


@pytest.mark.parametrize("model", ["sprout", "seedling"])
def test_equals_hugging_face_for_the_bundled_models(model, tmp_path):
    tokenizer = load_tokenizer(str(ASSETS / model))
    encoder = through_a_file(tokenizer, tmp_path)
    assert encoder.vocabulary.pre == "smollm"
    for text in [*TEXTS, "<user>Say hello to Ann.<end><assistant>"]:
        assert encoder.encode(text) == tokenizer.encode(text, add_special_tokens=False), text


@pytest.mark.parametrize("legacy", [True, False])
def test_equals_hugging_face_for_sentencepiece(legacy, tmp_path):
    tokenizer = metaspace_tokenizer([("h", "e"), ("l", "l"), ("he", "ll"), ("▁", "w"), ("hell", "o")], legacy=legacy)
    encoder = through_a_file(tokenizer, tmp_path, start=tokenizer.bos_token_id)
    assert encoder.vocabulary.model == "llama" and encoder.vocabulary.prefix
    for text in ("hello world", "well hello, 서울!", "two  spaces\n"):
        assert encoder.encode(text) == tokenizer.encode(text), text
    assert encoder.vocabulary.types[tokenizer.convert_tokens_to_ids("<0x0A>")] == BYTE


def test_types_of_tokens_and_rows_without_one():
    tokenizer = byte_level()
    tokenizer.add_tokens(["<plain>"])
    vocabulary = Vocabulary.of(tokenizer, len(tokenizer) + 2)
    kinds = dict(zip(vocabulary.tokens, vocabulary.types, strict=True))
    assert kinds["<|im_end|>"] == CONTROL and kinds["<plain>"] == USER_DEFINED and kinds["a"] == 1
    assert vocabulary.tokens[-1] == f"[PAD{len(tokenizer) + 1}]" and vocabulary.types[-2:] == [UNUSED, UNUSED]


@pytest.mark.parametrize(
    "rule",
    [
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        pre_tokenizers.ByteLevel(add_prefix_space=True),
        cut(r"\p{N}{1,2}"),
        pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"\p{N}"), "removed"), pre_tokenizers.ByteLevel(False)]),
    ],
)
def test_words_cut_in_a_way_without_a_name_are_refused(rule):
    with pytest.raises(ModelError, match=r"llama.cpp has no name for how this tokenizer cuts .* --to hf"):
        Vocabulary.of(byte_level(cut=rule), 300)


def test_more_tokens_than_rows_and_no_merges_are_refused():
    with pytest.raises(ModelError, match="the tokenizer has 261 tokens and the model 260"):
        Vocabulary.of(byte_level(), 260)
    with pytest.raises(ModelError, match="it has no merges"):
        Vocabulary.of(byte_level(merges=()), 300)


@pytest.mark.data
def test_equals_hugging_face_for_gpt2(data_folder, tmp_path):
    tokenizer = load_tokenizer(str(data_folder.parent / "models" / "gpt2_tokenizer"))
    encoder = through_a_file(tokenizer, tmp_path)
    assert encoder.vocabulary.pre == "gpt-2"
    for text in TEXTS:
        assert encoder.encode(text) == tokenizer.encode(text, add_special_tokens=False), text
