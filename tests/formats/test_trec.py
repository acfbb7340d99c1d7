"""TREC's files and BEIR's folders, in and out, and what is said of damaged ones."""

import gzip
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import RowError
from espalier.formats import trec
from espalier.maths.ranking import ranked

ids = st.text("abc019-#\uac00", min_size=1, max_size=5)


@given(st.dictionaries(ids, st.dictionaries(ids, st.integers(-1, 3), min_size=1), min_size=1), st.booleans())
def test_property_qrels_come_back_as_they_were_written(tmp_path_factory, qrels, beir):
    file = tmp_path_factory.mktemp("trec") / "qrels"
    trec.write_qrels(file, qrels, beir=beir)
    assert trec.read_qrels(file) == qrels


@given(st.dictionaries(ids, st.dictionaries(ids, st.floats(-9, 9), min_size=1), min_size=1))
def test_property_runs_come_back_as_they_were_written(tmp_path_factory, run):
    file = tmp_path_factory.mktemp("trec") / "run"
    trec.write_run(file, run, "my run")
    assert trec.read_run(file) == run
    first = file.read_text(encoding="utf-8").splitlines()[0].split()
    query = next(iter(run))
    assert first[:2] == [query, "Q0"] and first[2] == ranked(run[query])[0] and first[5] == "my_run"


def test_topics_of_both_kinds_and_compressed(tmp_path):
    tabs = tmp_path / "topics.tsv.gz"
    tabs.write_bytes(gzip.compress("2\t룩셈부르크의 수도는?\r\n\r\n4\tb  c\n".encode()))
    assert trec.read_topics(tabs) == {"2": "룩셈부르크의 수도는?", "4": "b  c"}
    tagged = tmp_path / "topics.xz"
    text = "<top>\n<num> Number: 7\n<title> Topic: a\nb\n</title></top>\n<top><num>8</num><title>\nc\n</title></top>"
    tagged.write_bytes(lzma.compress(text.encode()))
    assert trec.read_topics(tagged) == {"7": "a b", "8": "c"}


@pytest.mark.parametrize(
    ("read", "text", "sentence"),
    [
        (trec.read_qrels, "1 0 a 1\n\n1 0 b\tx y\n", "q, line 3: '1 0 b\\\\tx y'; expected query 0 document grade"),
        (trec.read_qrels, "1 0 a high\n", "line 1: the grade is 'high'; it must be a number"),
        (trec.read_qrels, "1 0 a 1\n1 0 a 2\n", "line 2: a is judged a second time for query 1"),
        (trec.read_qrels, "\n", "q holds no judgment"),
        (trec.read_run, "1 Q0 a 1 nan r\n", "line 1: the score is 'nan'"),
        (trec.read_run, "1 Q0 a 1 2\n", "line 1: .* expected query Q0 document rank score name"),
        (trec.read_run, "1 Q0 a 1 2 r\n1 Q0 a 2 1 r\n", "line 2: a is retrieved a second time"),
        (trec.read_topics, "1\ta\nno tab\n", "line 2: 'no tab'; expected a query's id, a tab"),
        (trec.read_topics, "1\ta\n1\tb\n", "line 2: the query 1 stands there a second time"),
        (trec.read_topics, "<top><num>1</num></top>", "topic 1: it has no <num> with a number or no <title>"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, read, text, sentence):
    (tmp_path / "q").write_text(text, encoding="utf-8")
    with pytest.raises(RowError, match=sentence):
        read(tmp_path / "q")


def test_files_that_are_not_there_or_damaged(tmp_path):
    with pytest.raises(RowError, match="there is no file"):
        trec.read_qrels(tmp_path / "none")
    with pytest.raises(RowError, match="is a folder"):
        trec.read_qrels(tmp_path)
    (tmp_path / "q.gz").write_bytes(gzip.compress(b"1 0 a 1\n" * 9)[:20])
    with pytest.raises(RowError, match="the rest cannot be read"):
        trec.read_qrels(tmp_path / "q.gz")
    with pytest.raises(RowError, match="white space"):
        trec.write_qrels(tmp_path / "out", {"1": {"my file": 1.0}})
    assert sorted(file.name for file in tmp_path.iterdir()) == ["q.gz"]


@pytest.mark.data
def test_equals_what_is_known_of_dl19(data_folder):
    folder = data_folder / "retrieval" / "dl19"
    qrels = trec.read_qrels(folder / "qrels.dl19-passage.txt.xz")
    assert len(qrels) == 43 and len(trec.read_topics(folder / "topics.dl19-passage.txt.xz")) >= 43
    for lang in ("ko", "id", "zh", "en"):
        judged = trec.read_qrels(data_folder / f"retrieval/miracl/qrels.miracl-v1.0-{lang}-dev.tsv.xz")
        assert (
            judged.keys()
            <= trec.read_topics(data_folder / f"retrieval/miracl/topics.miracl-v1.0-{lang}-dev.tsv.xz").keys()
        )
