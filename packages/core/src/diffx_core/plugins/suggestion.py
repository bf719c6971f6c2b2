"""The words that help somebody out: the name that was meant, the command that repairs."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``: did you mean 'this'?``, or nothing if no known name looks like `name`."""
    matches = get_close_matches(name, list(known), n=1)
    return f": did you mean {matches[0]!r}?" if matches else ""


def listing(names: Iterable[str]) -> str:
    """The names one after the other, or the word none."""
    return ", ".join(names) or "none"


def remedy(distribution: str) -> str:
    """What to do about a distribution that does not work."""
    return f"`pip install --upgrade {distribution}` or `pip uninstall {distribution}`"
