import io
import json
import sys
from types import SimpleNamespace

import pytest

from espalier.knowledge.readers import pdf_worker
from tests.data.documents.build import LINES, pdf


@pytest.fixture
def worked(monkeypatch, capsys):
    pytest.importorskip("pypdfium2")
    monkeypatch.setattr(pdf_worker, "_limit_memory", lambda: None)  # the limits are for a process of its own
    monkeypatch.setattr(pdf_worker, "_limit_time", lambda: None)

    def run(data):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
        pdf_worker.main()
        return json.loads(capsys.readouterr().out)

    return run


def test_pages_outline_and_title(worked):
    found = worked(pdf([LINES, ["b"]], outline=[("하나", 0), ("둘", 1)], title="T"))
    assert [page.splitlines() for page in found["pages"]] == [list(LINES), ["b"]]
    assert found["outline"] == [[1, "하나", 0], [1, "둘", 1]]
    assert found["title"] == "T"


def test_a_password_is_told_apart_from_damage(worked):
    assert worked(pdf([LINES], protected=True))["password"] is True
    assert worked(b"%PDF-1.7")["password"] is False


def test_pages_beyond_the_limit_are_not_kept(worked, monkeypatch):
    monkeypatch.setattr(pdf_worker, "CHARACTERS", 1)
    assert [bool(page) for page in worked(pdf([["ab"], ["c"]]))["pages"]] == [True, False]
