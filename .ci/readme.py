"""Run the README's commands, in their order, as a new user would who has just cloned the repository.

A block that starts with ```bash or ```python is run, in a copy of the checkout with `espalier` on the path; ```console
shows commands with what they print and is not run, and neither is `make test`, which CI has run before.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHELL = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": ["python", "-c"]}
TEST = "make test"


def blocks(text: str) -> list[tuple[str, str]]:
    """The language and the text of every block that is to be run."""
    found = re.findall(r"^```(bash|python)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    lines = [(language, [line for line in block.splitlines() if line.strip() != TEST]) for language, block in found]
    return [(language, "\n".join(kept)) for language, kept in lines if any(line.strip() for line in kept)]


def copy_checkout(folder: Path) -> None:
    """The files git knows or would add, and the environment."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")


def main() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = blocks(text)
    if TEST not in text or not found:
        sys.exit(f"README.md must say `{TEST}` and hold a ```bash block")
    environment = {**os.environ, "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory() as folder:
        copy_checkout(Path(folder))
        for language, block in found:
            print(f"\n{block}", flush=True)
            done = subprocess.run([*SHELL[language], block], cwd=folder, env=environment, stdin=subprocess.DEVNULL)
            if done.returncode:
                sys.exit(f"README.md: this {language} block ended with {done.returncode}")


if __name__ == "__main__":
    main()
