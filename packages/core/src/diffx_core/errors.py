"""What can go wrong, and the exit code that each kind of failure gives the command line.

A message says what is wrong, where (with the distribution that is to blame) and what to do about
it, in one line. An error may carry several such lines, because a user who made three mistakes wants
to hear of three.
"""

from typing import ClassVar

_LONGEST = 300
"""Characters of a line that somebody reads."""


class DiffxError(Exception):
    """The root of every error that diffx raises on purpose.

    Args:
        problems: one line for each thing that is wrong.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(self.problems)


class ConfigError(DiffxError, ValueError):
    """A name, an option, a file or a combination that the user has to change."""

    exit_code = 2


class PluginError(DiffxError):
    """A plugin is missing, broken or ambiguous."""

    exit_code = 3


class ComponentError(PluginError):
    """A component broke its contract while it ran.

    Args:
        kind: which of the components did it, e.g. ``backbone``.
        problems: one line for each thing that is wrong.
    """

    def __init__(self, kind: str, *problems: str) -> None:
        super().__init__(*problems)
        self.kind = kind

    def __str__(self) -> str:
        """Every line names the kind."""
        lines = (
            one if one.startswith(self.kind) else f"{self.kind}: {one}" for one in self.problems
        )
        return "\n".join(lines)


class DataError(DiffxError):
    """The data are missing, unreadable or not what they were."""

    exit_code = 4


class CheckpointError(DiffxError):
    """A run or a checkpoint is missing, incomplete or does not fit."""

    exit_code = 5


class NonFiniteError(DiffxError):
    """A loss or a gradient is NaN or infinite."""

    exit_code = 6


class StoppedError(DiffxError):
    """A run was told to end, and has saved what it learned.

    Args:
        problems: one line that says by whom.
        code: what the program ends with.
    """

    def __init__(self, *problems: str, code: int) -> None:
        super().__init__(*problems)
        self.code = code

    @property
    def exit_code(self) -> int:  # type: ignore[override] # not the same for all of them
        """What the program ends with."""
        return self.code


def reason(cause: BaseException) -> str:
    """What went wrong, as one printable line.

    Examples:
        >>> reason(ValueError("no such    thing"))
        'ValueError: no such thing'
        >>> reason(SystemExit(3))
        'it called sys.exit(3)'
    """
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
