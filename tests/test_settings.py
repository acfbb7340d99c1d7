"""espalier.toml."""

import pytest

from espalier import settings
from espalier.errors import RecipeError
from espalier.settings import FILE, Settings, answering


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "_said", set())
    return tmp_path


def write(folder, text):
    (folder / "espalier.toml").write_text(text, encoding="utf-8")


def test_no_file_says_nothing(capsys):
    assert Settings.read() == Settings() and answering(None, None, Settings.read()) == (None, None)
    assert capsys.readouterr().err == ""


def test_what_the_file_says_is_used_said_once_and_loses_to_options(folder, capsys):
    write(folder, 'lm = "http://localhost:1/v1"\nindex = "docs.kb"')
    found = Settings.read()
    assert answering("mine", None, found) == ("mine", None) and capsys.readouterr().err == ""
    for _ in range(2):
        assert answering(None, None, found) == (None, "http://localhost:1/v1")
    assert capsys.readouterr().err == f"{folder / 'espalier.toml'}: lm = http://localhost:1/v1\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('modle = "x"', "no setting named 'modle'. Did you mean 'model'?"),
        ("model = 3", "model must be a text"),
        ("model =", "is not TOML"),
        ('model = "x"\nlm = "http://h/v1"', "both name what answers"),
    ],
)
def test_what_cannot_be_is_one_sentence(folder, text, sentence):
    write(folder, text)
    with pytest.raises(RecipeError, match=FILE) as told:
        Settings.read()
    assert sentence in str(told.value)


def test_a_file_of_another_encoding_and_both_options(folder):
    (folder / "espalier.toml").write_bytes(b"model = '\xff'")
    with pytest.raises(RecipeError, match="cannot be read: it is no UTF-8"):
        Settings.read()
    with pytest.raises(RecipeError, match="--model and --lm"):
        answering("a", "http://h/v1", Settings())
