"""Whose fault it is: a broken component is named with its distribution and version."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from diffx_core.errors import ComponentError

FRAMES = re.compile(r"\s*(Exception raised from|C\+\+ CapturedTraceback).*", re.DOTALL)
"""What torch appends to a message: where in its own library it was raised."""


@contextmanager
def blaming(labels: Mapping[str, str]) -> Iterator[None]:
    """Adds to an error of a component whose component it was.

    Args:
        labels: ``vesde (diffx-schedulers 0.1.0)`` by kind.
    """
    try:
        yield
    except ComponentError as error:
        label = labels.get(error.kind)
        if label is None or any(label in one for one in error.problems):
            raise
        lines = (f"{error.kind} {label}: {problem}" for problem in error.problems)
        raise ComponentError(error.kind, *lines) from error


def told(error: Exception) -> str:
    """An error that was not raised on purpose, without the frames of torch's library."""
    return f"{type(error).__name__}: {FRAMES.sub('', str(error))}"
