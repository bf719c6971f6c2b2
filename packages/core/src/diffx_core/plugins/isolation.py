"""Running a stranger's code: whatever it does, diffx goes on and can say in one line what happened.

Everything but Ctrl-C is caught, `SystemExit` included: a module that calls ``sys.exit`` while it
is imported would otherwise end the program. What it prints goes to stderr, because stdout may be
a JSON document.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from diffx_core.errors import DiffxError

_LONGEST = 300


class IsolatedError(Exception):
    """Foreign code failed; the message is one line, the cause is what it raised."""


@contextmanager
def isolated(stage: str) -> Iterator[None]:
    """Turn whatever the body raises into an `IsolatedError` that reads ``stage: reason``.

    Args:
        stage: what the foreign code was run for.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except KeyboardInterrupt:
        raise
    except BaseException as cause:
        raise IsolatedError(f"{stage}: {reason(cause)}") from cause


def reason(cause: BaseException) -> str:
    """What went wrong, as one printable line."""
    if isinstance(cause, SystemExit):
        return f"it called sys.exit({cause.code!r})"
    try:
        message = str(cause)
    except Exception:  # noqa: BLE001 - a foreign __str__ may raise anything
        message = ""
    if isinstance(cause, DiffxError):
        return one_line(message)
    return one_line(f"{type(cause).__name__}: {message}").removesuffix(":")


def one_line(text: str) -> str:
    """The text without line breaks and terminal escapes, cut where nobody reads on."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."
