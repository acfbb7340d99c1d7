"""The Hugging Face hub: a private repository, made only after its owner has seen what goes there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from espalier.errors import ModelError, RecipeError

PREFIX = "hub:"
NAME = re.compile(r"[\w.-]+/[\w.-]+")


def repository(to: str) -> str:
    """The repository in "hub:ORG/NAME".

    Raises:
        RecipeError: it is none.
    """
    name = to.removeprefix(PREFIX)
    if not NAME.fullmatch(name) or ".." in name or name.endswith((".git", ".", "-")):
        raise RecipeError(f"{to!r} names no repository. Write hub:ORG/NAME, for example hub:me/polite-sprout.")
    return name


def reachable() -> None:
    """Refuse before anything is made for it.

    Raises:
        ModelError: the hub was switched off.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise ModelError("HF_HUB_OFFLINE is set, so nothing could be uploaded. Unset it and repeat the command.")


def upload(folder: Path, name: str, *, public: bool, api: Any = None) -> str:
    """Make the repository and upload a folder; its address.

    Args:
        folder: all of it is uploaded.
        name: ORG/NAME.
        public: whether anybody may see it; an existing repository keeps its own setting.
        api: of huggingface_hub.

    Raises:
        ModelError: the hub cannot be reached, or refuses.
        RecipeError: it would be public unasked.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    api = api or HfApi()
    try:
        if not public and api.repo_exists(name) and not api.repo_info(name).private:
            raise RecipeError(
                f"{name} is there already and public: anybody could read it. Add --public, or name another."
            )
        address = api.create_repo(name, private=not public, exist_ok=True, repo_type="model")
        api.upload_folder(repo_id=name, folder_path=folder, commit_message="Exported by espalier")
    except (HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{name}: not uploaded ({reason}). Log in with `hf auth login` and repeat the command."
        ) from error
    return str(address)
