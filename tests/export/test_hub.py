"""Uploading, to a hub that is acted: nothing here touches the network."""

from types import SimpleNamespace

import pytest

from espalier.errors import ModelError, RecipeError
from espalier.export.hub import reachable, repository, upload


class Hub:
    """In place of huggingface_hub's HfApi."""

    def __init__(self, there=None, problem=None):
        self.there, self.problem, self.calls = there, problem, []

    def repo_exists(self, name):
        return self.there is not None

    def repo_info(self, name):
        return SimpleNamespace(private=self.there == "private")

    def create_repo(self, name, **options):
        if self.problem:
            raise self.problem
        self.calls.append((name, options["private"]))
        return f"https://hub/{name}"

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        self.calls.append((repo_id, sorted(path.name for path in folder_path.iterdir())))


def test_private_unless_told_and_all_of_the_folder(tmp_path):
    (tmp_path / "a").touch()
    hub = Hub()
    assert upload(tmp_path, "me/model", public=False, api=hub) == "https://hub/me/model"
    assert hub.calls == [("me/model", True), ("me/model", ["a"])]
    hub = Hub("public")
    upload(tmp_path, "me/model", public=True, api=hub)
    assert hub.calls[0] == ("me/model", False)


def test_a_public_repository_is_not_filled_unasked(tmp_path):
    hub = Hub("public")
    with pytest.raises(RecipeError, match=r"me/model is there already and public: anybody .* Add --public"):
        upload(tmp_path, "me/model", public=False, api=hub)
    assert hub.calls == []
    upload(tmp_path, "me/model", public=False, api=Hub("private"))


def test_what_the_hub_refuses_is_one_sentence(tmp_path):
    with pytest.raises(ModelError, match=r"me/model: not uploaded \(no\n? ?connection\). Log in with `hf auth login`"):
        upload(tmp_path, "me/model", public=False, api=Hub(problem=ConnectionError("no\nconnection")))


def test_offline_says_so(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        reachable()


@pytest.mark.parametrize("name", ["a", "a/b/c", "a/", "/b", "a/..", "a/b.git", "a b/c"])
def test_what_names_no_repository(name):
    with pytest.raises(RecipeError, match="hub:ORG/NAME"):
        repository(f"hub:{name}")
    assert repository("hub:me/polite-sprout_2.0") == "me/polite-sprout_2.0"
