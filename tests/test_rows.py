import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.contracts import Row
from espalier.errors import RowError
from espalier.formats import READERS
from espalier.rows import Dropped, kind, parse_columns, read


def user(content):
    return [{"role": "user", "content": content}]


def assistant(content):
    return [{"role": "assistant", "content": content}]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" if isinstance(row, dict) else row + "\n" for row in rows))
    return path


def test_rows_are_canonical_and_say_where_they_stand(tmp_path):
    path = write(tmp_path / "tasks.jsonl", [{"instruction": "i", "input": "", "output": "o", "topic": "t", "n": None}])
    rows = read(path)
    (row,) = rows
    assert isinstance(row, Row) and row.where == "tasks.jsonl, row 1"
    assert row == {"prompt": user("i"), "completion": assistant("o"), "topic": "t"}
    assert (rows.name, rows.format, rows.kind) == ("tasks.jsonl", "alpaca", "completion")
    assert rows.detected == "tasks.jsonl: Alpaca (instruction, input, output), read as prompts with completions"


def test_malformed_rows_are_counted_and_do_not_stop_the_rest(tmp_path):
    path = write(tmp_path / "tasks.jsonl", ["{", {"instruction": "i"}, {"instruction": "i", "output": "o"}, "[]"])
    rows = read(path)
    for _ in range(2):
        assert [row.where for row in rows] == ["tasks.jsonl, row 3"]
        assert [(drop.where, drop.reason) for drop in rows.dropped] == [
            ("tasks.jsonl, row 1", "bad JSON"),
            ("tasks.jsonl, row 2", "missing 'output'"),
            ("tasks.jsonl, row 4", "not an object"),
        ]
    assert rows.dropped[0].detail.startswith("Expecting")


def test_reading_is_lazy(tmp_path):
    def rows():
        for number in range(10**9):
            taken.append(number)
            yield {"text": str(number)}

    class Endless:
        def __iter__(self):
            return rows()

    taken = []
    stream = iter(read(Endless()))
    assert next(stream)["text"] == "0"
    assert len(taken) < 200


def test_limit_counts_rows_that_were_kept(tmp_path):
    path = write(tmp_path / "a.jsonl", ["{", {"text": "1"}, {"text": "2"}, {"text": "3"}])
    rows = read(path, limit=2)
    assert [row["text"] for row in rows] == ["1", "2"]
    assert len(rows.dropped) == 1
    with pytest.raises(RowError, match="limit is 0"):
        read(path, limit=0)


def test_columns_are_mapped_and_the_others_kept():
    rows = read([{"question": "q", "answer": "a", "id": 7}], columns="prompt=question, completion=answer")
    assert list(rows) == [{"prompt": "q", "completion": "a", "id": 7}]
    assert (
        rows.detected == "rows: TRL fields (question as prompt, answer as completion), read as prompts with completions"
    )


def test_a_mapped_column_replaces_one_of_the_canonical_name():
    rows = read([{"prompt": "old", "q": "new", "a": "x"}, {"prompt": "old", "a": "y"}], columns="prompt=q,completion=a")
    assert list(rows) == [{"prompt": "new", "completion": "x"}]
    assert rows.dropped == [Dropped("row 2", "missing 'prompt'")]


def test_columns_of_another_format_can_be_mapped():
    row = {"input": "i", "output_1": "one", "output_2": "two", "label": 2}
    rows = read([row], columns={"instruction": "input", "preference": "label"})
    assert list(rows) == [{"prompt": user("i"), "chosen": assistant("two"), "rejected": assistant("one")}]


def test_named_columns_win_over_a_more_specific_format():
    row = {"instruction": "i", "output": "o", "question": "q", "answer": "a"}
    (mapped,) = read([row], columns="prompt=question,completion=answer")
    assert mapped["prompt"] == "q" and mapped["output"] == "o"


def test_a_column_that_does_not_exist():
    with pytest.raises(
        RowError, match=r"rows: no column named 'questoin'. Did you mean 'question'\? Known: answer, question"
    ):
        read([{"question": "q", "answer": "a"}], columns="prompt=questoin,completion=answer")


def test_parse_columns():
    assert parse_columns("prompt=question,completion=the answer ") == {"prompt": "question", "completion": "the answer"}
    assert parse_columns({"prompt": "q"}) == {"prompt": "q"}
    for bad in ("prompt", "prompt=", "=q", "prompt=a,prompt=b", "prompt=a,"):
        with pytest.raises(RowError, match="cannot be read; write field=column"):
            parse_columns(bad)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "p", "completion": "c"}, "completion"),
        ({"prompt": "p", "completion": "c", "label": True}, "unpaired"),
        ({"prompt": "p", "completion": "c", "label": 3}, "completion"),
        ({"prompt": "p", "chosen": "c", "rejected": "r", "messages": []}, "preference"),
        ({"messages": [], "prompt": "p"}, "messages"),
        ({"text": "t"}, "text"),
        ({"prompt": "p"}, "prompt"),
    ],
)
def test_kind(row, expected):
    assert kind(row) == expected


def test_a_row_of_no_kind():
    with pytest.raises(RowError, match=r"a\.jsonl, row 2 has none of the fields prompt, completion"):
        kind(Row({"id": 1}, where="a.jsonl, row 2"))


def test_a_row_of_another_kind_is_dropped():
    rated = {"prompt": "p", "completion": "c", "label": True}
    rows = read([rated, rated | {"label": 0.5}, rated])
    assert [row.where for row in rows] == ["row 1", "row 3"]
    assert rows.dropped == [Dropped("row 2", "another kind of row", "prompts with completions among rated answers")]


def test_labels_of_tables_are_true_or_false(tmp_path):
    path = tmp_path / "rated.csv"
    path.write_text("prompt,completion,label\na,b,True\nc,d,false\n")
    assert [row["label"] for row in read(path)] == [True, False]


def test_a_label_of_numbers_is_a_rating_only_if_it_is_named():
    table = [{"prompt": "p", "completion": "c", "label": label} for label in (1, "0", 2)]
    assert [row["label"] for row in read(table)] == [1, "0", 2]
    assert read(table).kind == "completion"
    rows = read(table, columns="label=label")
    assert ([row["label"] for row in rows], rows.kind) == ([True, False], "unpaired")
    assert rows.dropped == [Dropped("row 3", "'label' is not true or false", "2")]


def test_weights_are_numbers_of_zero_or_more():
    weights = [2, "0.5", 0, -1, float("nan"), "heavy", float("inf"), True, 10**400, [1]]
    rows = read([{"text": "t", "weight": weight} for weight in weights])
    assert [row["weight"] for row in rows] == [2.0, 0.5, 0.0]
    assert {drop.reason for drop in rows.dropped} == {"'weight' is not a number of 0 or more"}
    assert len(rows.dropped) == 7


def test_an_ambiguous_source_takes_the_more_specific_format_and_says_so():
    rows = read([{"instruction": "i", "output": "o", "text": "t"}])
    assert rows.format == "alpaca"
    assert rows.detected.endswith("; plain would fit too and is less specific")
    assert read([{"instruction": "i", "output": "o", "text": "t"}], format="plain").kind == "text"


def test_an_unknown_format():
    with pytest.raises(RowError, match=r"no format named 'alpacca'. Did you mean 'alpaca'\?"):
        read([{"text": "t"}], format="alpacca")


def test_no_format_fits():
    with pytest.raises(RowError) as caught:
        read([{"id": 1, "Question": "q", "Best Answer": "a"}])
    assert str(caught.value) == (
        "rows: no known format has its columns id, Question, Best Answer. Expected are prompt and completion, "
        "messages, or text; prompt, chosen and rejected for preferences; prompt, completion and label for rated "
        'answers. Name the columns, for example columns = "prompt=Question,completion=Best Answer".'
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"{\n[]\n", "a.jsonl: no row can be read. The first, a.jsonl, row 1: bad JSON"),
        ("a.jsonl", b"\n\n", "a.jsonl holds no rows"),
        ("a.json", b"[]", "a.json holds no rows"),
        ("a.csv", b"prompt,completion\n", "a.csv holds no rows"),
        ("a.jsonl", b'{"instruction": "i", "output": 1}\n', "The first, a.jsonl, row 1: 'output' is not text .int 1."),
        ("a.parquet", b"nothing", "a.parquet, row 1: damaged file"),
        ("a.jsonl.xz", b"nothing", "a.jsonl.xz, row 1: damaged file"),
        ("a.csv", b"text\n\xff\xff\n", "row 1: invalid UTF-8 .save the file as UTF-8."),
    ],
)
def test_nothing_left_is_one_sentence(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RowError, match=message) as caught:
        list(read(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_an_encoding_that_was_guessed_is_said(tmp_path):
    path = tmp_path / "chat.csv"
    path.write_bytes("질문,답\n안녕,반가워\n".encode("cp949"))
    rows = read(path, columns="prompt=질문,completion=답")
    assert list(rows) == [{"prompt": "안녕", "completion": "반가워"}]
    assert rows.detected.endswith("; encoding cp949 (Korean)")


@given(st.lists(st.dictionaries(st.sampled_from(["prompt", "completion", "text", "weight"]), st.text() | st.none())))
def test_property_every_row_is_kept_or_dropped(table):
    try:
        rows = read(table)
        kept = list(rows)
    except RowError as problem:
        assert str(problem)
    else:
        assert len(kept) + len(rows.dropped) == len(table)


@pytest.mark.data
@pytest.mark.parametrize(
    ("path", "format", "kind", "kept"),
    [
        ("formats/alpaca_en_demo.json.xz", "alpaca", "completion", 999),
        ("formats/alpaca_zh_demo.json.xz", "alpaca", "completion", 1000),
        ("formats/dpo_en_demo.json.xz", "sharegpt", "preference", 300),
        ("formats/dpo_zh_demo.json.xz", "sharegpt", "preference", 300),
        ("formats/glaive_toolcall_en_demo.json.xz", "sharegpt", "messages", 300),
        ("formats/kto_en_demo.json.xz", "messages", "unpaired", 300),
        ("formats/v1_dpo_demo.jsonl.xz", "messages", "preference", 10),
        ("formats/v1_sft_demo.jsonl.xz", "messages", "messages", 500),
        ("instructions/alpaca_zh_dev.jsonl.xz", "alpaca", "completion", 15753),
        ("instructions/kochatgpt_ppo_prompts.json.xz", "plain", "prompt", 12000),
        ("instructions/self_instruct_seed_tasks.jsonl.xz", "self_instruct", "completion", 175),
        ("instructions/user_oriented_instructions.jsonl.xz", "self_instruct", "completion", 252),
        ("preferences/hh_harmless_dev.jsonl.xz", "hh", "preference", 1181),
        ("text/factbook.jsonl.xz", "plain", "text", 262),
    ],
)
def test_real_files_are_read_unchanged(data_folder, path, format, kind, kept):
    rows = read(data_folder / path)
    assert (rows.format, rows.kind) == (format, kind)
    assert (sum(1 for _ in rows), rows.dropped) == (kept, [])


@pytest.mark.data
def test_real_judgements_drop_ties_and_what_was_never_judged(data_folder):
    rows = read(data_folder / "preferences/alpaca_eval_pref_dev.jsonl.xz")
    assert (rows.format, sum(1 for _ in rows)) == ("alpaca_eval", 8753)
    assert Counter(drop.reason for drop in rows.dropped) == {"tie": 91, "missing 'preference'": 11}


@pytest.mark.data
@pytest.mark.parametrize(
    ("path", "columns", "kept", "dropped"),
    [
        ("judges/pandalm/testset-v1.json.xz", "prompt=instruction,completion=response1", 995, 4),
        ("judges/llmbar/LLMBar__Natural__dataset.json.xz", "instruction=input,preference=label", 100, 0),
        ("instructions/ko_chatbot.csv.xz", "prompt=Q,completion=A", 11823, 0),
        ("judges/TruthfulQA.csv.xz", "prompt=Question,completion=Best Answer", 817, 0),
        ("embedding/kor_sts-dev.tsv.xz", "prompt=sentence1,completion=sentence2", 1500, 0),
        ("reasoning/gsm8k_train.jsonl.xz", "prompt=question,completion=answer", 7473, 0),
        ("reasoning/bbh/word_sorting.json.xz", "prompt=input,completion=target", 250, 0),
    ],
)
def test_real_files_are_read_by_naming_columns(data_folder, path, columns, kept, dropped):
    rows = read(data_folder / path, columns=columns)
    assert (sum(1 for _ in rows), len(rows.dropped)) == (kept, dropped)


@pytest.mark.data
def test_real_transcripts_end_their_prompts_in_a_question(data_folder):
    shapes = Counter()
    for row in read(data_folder / "preferences/hh_harmless_dev.jsonl.xz"):
        roles = [turn["role"] for turn in row["prompt"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
        shapes[len(row["chosen"]), len(row["rejected"])] += 1
    assert shapes == {(1, 1): 1181}


@pytest.mark.data
def test_real_tool_calls_become_messages(data_folder):
    turns = [turn for row in read(data_folder / "formats/glaive_toolcall_en_demo.json.xz") for turn in row["messages"]]
    assert Counter(turn["role"] for turn in turns) == {"user": 746, "assistant": 746 + 211, "tool": 211}
    assert sum("tool_calls" in turn for turn in turns) == 211


def test_every_reader_is_reachable_by_name():
    for name in READERS:
        with pytest.raises(RowError):
            list(read([{"nothing": 1}], format=name))
