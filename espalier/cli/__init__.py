"""The command line: `espalier VERB`. What a user can cause is one line on stderr and exit code 2."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Sequence

import typer

from espalier.errors import EspalierError

STOPPED = 130  # what a shell says of a program ended by Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words behind `espalier`; those of this process by default.

    Returns:
        The exit code: 0, 2 for an error of the user's, 130 when stopped by Ctrl-C. A traceback is a bug of ours.
    """
    if not sys.warnoptions:  # what libraries say to their callers is not for our users
        warnings.filterwarnings("ignore", module=r"(transformers|peft|torch|datasets)\b")
    try:
        from espalier.cli.app import app

        code = app(args=arguments, prog_name="espalier", standalone_mode=False)
        sys.stdout.flush()
    except EspalierError as error:
        return _failed(str(error))
    except (KeyboardInterrupt, typer.Abort):
        code = STOPPED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at its end
        return 1
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        return _failed(sentence)
    if code == STOPPED:
        print("stopped", file=sys.stderr)
    return code if isinstance(code, int) else 0


def _failed(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return 2


def _sentence(error: Exception) -> str | None:
    """What to say of an error that is the user's or the machine's though it is not one of ours; None if it is a bug."""
    if hasattr(error, "format_message"):  # typer's usage errors, which have no common public class
        path = getattr(getattr(error, "ctx", None), "command_path", "espalier")
        said = error.format_message()
        return " ".join(f"{said}{'' if said.endswith(('.', '?')) else '.'} See `{path} --help`.".split())
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error):
        name = getattr(error, "filename", None)
        place = f" ({name})" if name else ""
        return f"the disk is full{place}. Free some space and repeat the command; a run that had begun, with --resume."
    if isinstance(error, PermissionError) and error.filename:
        return f"{error.filename}: not allowed. Choose a place that you may write to."
    return None
