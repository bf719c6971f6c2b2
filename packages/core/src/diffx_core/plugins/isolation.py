"""Running a stranger's code: whatever it does, diffx goes on and can say in one line what happened.

Everything but Ctrl-C is caught, `SystemExit` included: a module that calls ``sys.exit`` while it
is imported would otherwise end the program. What it prints goes to stderr, because stdout may be
a JSON document.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from diffx_core.errors import reason


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
