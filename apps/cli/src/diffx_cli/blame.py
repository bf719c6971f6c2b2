"""Whose fault it is: a broken component is named with its distribution and version."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from diffx_core.errors import ComponentError


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
