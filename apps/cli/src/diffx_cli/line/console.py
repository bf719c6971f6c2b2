"""What the program says. Losing the reader of stdout never stops work that is under way."""

import os
import shlex
import sys

from diffx_core.errors import ConfigError


class Voice:
    """Whether this process is heard: of several that do one work together, one is enough."""

    silent = False


def hush(*, silent: bool) -> None:
    """Say nothing from now on, or speak again."""
    Voice.silent = silent


def say(text: str) -> None:
    """Write a result to stdout; into the void if nobody reads it any more.

    Raises:
        ConfigError: it goes to a file, and the disk is full.
    """
    if Voice.silent:
        return
    try:
        print(text, flush=True)
    except UnicodeEncodeError:
        print(text.encode("ascii", "backslashreplace").decode(), flush=True)
    except (BrokenPipeError, ValueError):
        # ValueError: Python's stdout object has been closed. Later writes, also those of libraries,
        # must not fail.
        _discard_stdout()
    except OSError as error:
        _discard_stdout()
        raise ConfigError(f"standard output: cannot be written: {error.strerror}") from error


def note(text: str) -> None:
    """Write something worth knowing to stderr."""
    complain(f"diffx: note: {text}")


def command(*words: object) -> str:
    """A command line of this program, to be pasted into a shell."""
    return shlex.join(["diffx", *map(str, words)])


def counted(number: int, one: str, several: str | None = None) -> str:
    """So many of a thing: ``1 class``, ``2 classes``.

    Args:
        number: how many.
        one: what a single one is called.
        several: what others are; with an s by default.
    """
    return f"{number} {one if number == 1 else several or f'{one}s'}"


def complain(text: str) -> None:
    """Write a line to stderr, and go on if that is impossible."""
    if Voice.silent:
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        return


def _discard_stdout() -> None:
    void = os.open(os.devnull, os.O_WRONLY)
    os.dup2(void, 1)
    os.close(void)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
