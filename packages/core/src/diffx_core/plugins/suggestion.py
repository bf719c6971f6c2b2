"""The words that help somebody out: the name that was meant, the command that repairs."""

from collections.abc import Iterable
from difflib import get_close_matches


def near(name: str, known: Iterable[str]) -> list[str]:
    """The known names that look like `name`, nearest first."""
    return get_close_matches(name, list(known))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``: did you mean 'this' or 'that'?``, or nothing if no known name looks like `name`."""
    matches = near(name, known)
    return f": did you mean {' or '.join(map(repr, matches))}?" if matches else ""


def listing(names: Iterable[str]) -> str:
    """The names one after the other, or the word none."""
    return ", ".join(names) or "none"


def remedy(distribution: str) -> str:
    """What to do about a distribution that does not work."""
    return f"`pip install --upgrade {distribution}` or `pip uninstall {distribution}`"
