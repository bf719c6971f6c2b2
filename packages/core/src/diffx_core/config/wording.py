"""How messages quote what the user wrote, and guess what was meant."""

from collections.abc import Iterable

LONGEST_QUOTE = 60
"""Characters of a value that a message repeats; a megabyte of brackets helps nobody."""


def show(value: object) -> str:
    """A value as a message quotes it: on one line, without control characters, and not too long."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    if len(text) <= LONGEST_QUOTE:
        return text
    length = len(value) if isinstance(value, str) else len(text)
    return f"{text[:LONGEST_QUOTE]}... ({length} characters)"


def flag(key: str) -> str:
    """The flag of an option as everything that is read spells it.

    Args:
        key: ``batch_size`` is ``--batch-size``; ``train.batch_size`` is as in a file.
    """
    return f"--{key}" if "." in key else f"--{key.replace('_', '-')}"


def written(value: object) -> str:
    """A value as the command line takes it: ``none``, ``true``, ``1,2``."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(written, value)) if isinstance(value, list | tuple) else str(value)


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of a message about an unknown name: ``; did you mean x?``, or nothing."""
    from difflib import get_close_matches

    near = get_close_matches(name[:100], list(names), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""
