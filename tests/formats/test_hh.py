import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.formats.fields import Malformed
from espalier.formats.hh import convert, detect

HEAD = "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: help?"
words = st.text("ab: \n", max_size=6).filter(lambda text: "\n\n" not in text)


def user(content):
    return {"role": "user", "content": content}


def assistant(content):
    return {"role": "assistant", "content": content}


def transcript(turns):
    speakers = {"user": "Human", "assistant": "Assistant"}
    return "".join(f"\n\n{speakers[turn['role']]}: {turn['content']}" for turn in turns)


def test_transcripts_share_all_but_the_last_turn():
    row = {"chosen": HEAD + "\n\nAssistant: sure", "rejected": HEAD + "\n\nAssistant: no"}
    assert detect(row)
    assert convert(row) == {
        "prompt": [user("hi"), assistant("hello"), user("help?")],
        "chosen": [assistant("sure")],
        "rejected": [assistant("no")],
    }


def test_a_transcript_in_a_prompt_column():
    row = {"prompt": HEAD + "\n\nAssistant:", "chosen": " sure", "rejected": " no"}
    assert detect(row)
    assert convert(row)["chosen"] == [assistant("sure")]


def test_a_speaker_named_inside_a_line_starts_no_turn():
    row = {
        "chosen": "Human: the word Human: here\n\nAssistant: a",
        "rejected": "Human: the word Human: here\n\nAssistant: b",
    }
    assert convert(row)["prompt"] == [user("the word Human: here")]


def test_neighboring_turns_of_one_speaker_are_one_turn():
    row = {"chosen": HEAD + "\n\nAssistant: sure", "rejected": HEAD + "\n\nAssistant: no\n\nAssistant: never"}
    assert convert(row)["rejected"] == [assistant("no\n\nnever")]


def test_a_difference_that_starts_before_the_last_turn():
    chosen = "\n\nHuman: hi\n\nAssistant: a\n\nHuman: more\n\nAssistant: b"
    rejected = "\n\nHuman: hi\n\nAssistant: c\n\nHuman: less\n\nAssistant: d"
    pair = convert({"chosen": chosen, "rejected": rejected})
    assert pair["prompt"] == [user("hi")]
    assert pair["chosen"] == [assistant("a"), user("more"), assistant("b")]


@given(st.lists(words, min_size=1, max_size=3), words, words)
def test_property_a_transcript_is_split_as_it_was_joined(asked, chosen, rejected):
    prompt = [turn for at, words in enumerate(asked) for turn in (user(words.strip()), assistant(f"a{at}"))][:-1]
    pair = convert(
        {
            "chosen": transcript([*prompt, assistant(chosen.strip())]),
            "rejected": transcript([*prompt, assistant(rejected.strip())]),
        }
    )
    assert pair == {
        "prompt": prompt,
        "chosen": [assistant(chosen.strip())],
        "rejected": [assistant(rejected.strip())],
    }


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        ("\n\nHuman: a\n\nAssistant: x", "\n\nHuman: b\n\nAssistant: y", "no turn in common"),
        (HEAD, HEAD + "\n\nAssistant: y", "'chosen' is not an answer"),
        (HEAD + "\n\nAssistant: x", "just text", "'rejected' is not a transcript"),
        (HEAD + "\n\nAssistant: x", 5, "'rejected' is not text"),
    ],
)
def test_malformed(chosen, rejected, reason):
    with pytest.raises(Malformed) as caught:
        convert({"chosen": chosen, "rejected": rejected})
    assert caught.value.reason == reason
