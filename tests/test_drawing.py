"""Passages drawn evenly over languages and documents."""

from collections import Counter

import pytest

from espalier.drawing import Drawing
from espalier.errors import RecipeError
from espalier.knowledge.chunks import Chunk
from espalier.knowledge.documents import Document
from espalier.knowledge.store import Store

ENGLISH = "The old mill of the town was built in the year {} by a man of the name of Belmi. "
KOREAN = "낡은 물레방아는 {}년에 벨미라는 사람이 강가에 지었다고 한다. "


@pytest.fixture
def store(tmp_path):
    with Store.create(tmp_path / "a.kb") as store:
        texts = {f"en{n}.txt": [ENGLISH.format(1800 + i) for i in range(20 if n == 0 else 4)] for n in range(3)}
        texts |= {"ko.txt": [KOREAN.format(1900 + i) for i in range(5)], "short.txt": ["Too short. "]}
        wanted = {}
        for name, parts in texts.items():
            text, chunks = "".join(parts), []
            for part in parts:
                start = chunks[-1].end if chunks else 0
                chunks.append(Chunk(start, start + len(part), name))
            store.stage(Document(name, name, text), "d", chunks)
            wanted[name] = "d"
        store.publish(wanted)
        yield store


def test_documents_and_languages_have_equal_shares(store):
    drawing = Drawing.of(store, seed=1)
    rows = drawing.more(8, {})
    assert Counter(row["gold_lang"] for row in rows) == {"en": 4, "ko": 4} and drawing.short == 1
    assert Counter(row["document"] for row in rows if row["gold_lang"] == "en").most_common()[0][1] == 2
    for row in rows:
        assert store.text(row["document"])[row["start"] :].startswith(row["text"])
    again = Drawing.of(store, seed=1)
    assert again.more(8, {}) == rows and Drawing.of(store, seed=2).more(8, {}) != rows


def test_what_is_lacking_is_drawn_again_and_others_take_the_share_of_what_has_run_out(store):
    drawing = Drawing.of(store)
    drawing.more(8, {})
    more = drawing.more(8, {("en", "en"): 4, ("ko", "ko"): 0})
    assert [row["gold_lang"] for row in more] == ["ko"]  # the last there is
    drawn = more + drawing.more(8, {("en", "en"): 4, ("ko", "ko"): 0})
    assert [row["gold_lang"] for row in drawn] == ["ko"] + 4 * ["en"]
    while rows := drawing.more(100, {("en", "en"): 9}):
        drawn += rows
    assert len(drawn) == 33 - 8 and len({(row["document"], row["start"]) for row in drawn}) == len(drawn)
    assert drawing.more(8, {("en", "en"): 8}) == []


def test_crossings_share_the_passages(store):
    rows = Drawing.of(store, languages=("en",), cross=(("en", "ko"),)).more(6, {})
    assert Counter(row["lang"] for row in rows) == {"en": 3, "ko": 3}
    assert len({(row["document"], row["start"]) for row in rows}) == 6


def test_a_language_that_is_not_there_is_refused(store, tmp_path):
    with pytest.raises(RecipeError, match=r"no passage in 'zh'.*en \(28\), ko \(5\)"):
        Drawing.of(store, languages=("zh",))
    with Store.create(tmp_path / "empty.kb") as empty, pytest.raises(RecipeError, match="no passage of 12 words"):
        Drawing.of(empty)
