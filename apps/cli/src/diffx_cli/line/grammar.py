"""The grammar of a command line: argv becomes one command and text by key, or mistakes.

``--key value``, ``--key=value``, ``--flag`` (true) and ``--no-flag`` (false). Hyphens in keys are
underscores. Everything else that a shell or python-fire might read some other way (``-``, ``--``,
``-x``, stray words, repeated keys) is refused here, all mistakes together. Help and version are
noticed here too, so that nothing runs that was only asked about.
"""

import re
from collections.abc import Mapping, Sequence

from attrs import define, field, frozen

from diffx_cli.line.command import Command
from diffx_core.config import flag, nearest, show
from diffx_core.errors import ConfigError

LONGEST = 65_536
"""Characters of one argument; a longer one is an accident."""

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*")
_NEGATIVE = re.compile(r"-(\.?[0-9]|inf|nan)", re.IGNORECASE)
_HELP = ("-h", "--help")


@frozen
class Call:
    """What a command line says.

    Args:
        command: None if only help or the version is asked for.
        options: text by key.
        wants: ``help`` or ``version``, if asked for.
    """

    command: Command | None
    options: Mapping[str, str] = field(factory=dict)
    wants: str | None = None


def parse(arguments: Sequence[str], commands: Mapping[str, Command]) -> Call:
    """Read a command line.

    Args:
        arguments: without the name of the program.
        commands: by name.

    Raises:
        ConfigError: one line for each mistake.
    """
    first, *rest = arguments or ["--help"]
    if first in _HELP:
        return Call(None, wants="help")
    if first == "--version":
        return Call(None, wants="version")
    if first == "help":
        return parse([*(rest or []), "--help"], commands)
    if first.startswith("-"):
        raise ConfigError(
            f"the command comes first, as in 'diffx train --seed 1', not {show(first)}"
        )
    command = commands.get(first.replace("_", "-"))
    if command is None:
        known = ", ".join(commands)
        raise ConfigError(f"unknown command {show(first)}{nearest(first, commands)} ({known})")
    return _Reader(command, list(rest)).read()


@define
class _Reader:
    """Reads the words after the command, from left to right."""

    command: Command
    left: list[str]
    options: dict[str, str] = field(factory=dict)
    problems: list[str] = field(factory=list)
    wants: str | None = None
    switches: frozenset[str] = frozenset()
    valued: frozenset[str] = frozenset()

    def __attrs_post_init__(self) -> None:
        declared = self.command.declared()
        self.switches = frozenset(key for key, one in declared.items() if one.type is bool)
        self.valued = frozenset(declared) - self.switches

    def read(self) -> Call:
        words = list(self.command.words)
        while self.left:
            word = self.left.pop(0)
            if (harm := _harm(word)) is not None:
                self.problems.append(harm)
            elif word in (*_HELP, "--version"):
                self.wants = self.wants or ("help" if word in _HELP else "version")
            elif word.startswith("--") and len(word) > 2:
                self._option(word[2:])
            elif not word.startswith("-") and words:
                self._set(words.pop(0), word, word)
            else:
                self.problems.append(_stray(word))
        if self.problems and self.wants is None:
            raise ConfigError(*self.problems)
        return Call(self.command, self.options, self.wants)

    def _option(self, text: str) -> None:
        name, equals, value = text.partition("=")
        key = name.replace("-", "_")
        negated = key.startswith("no_")
        key = key.removeprefix("no_")
        if len(key) > 100 or not _KEY.fullmatch(key):
            self.problems.append(
                f"{show('--' + name)} is no option: an option looks like --train.lr"
            )
        elif negated and equals:
            self.problems.append(f"--{name} takes no value; write --{name[3:]}=VALUE")
        elif negated:
            self._set(key, "false", f"--{name}")
        else:
            given = value if equals else self._value(key)
            if given is not None:
                self._set(key, given, f"--{name}")

    def _value(self, key: str) -> str | None:
        following = self.left[0] if self.left else "--"
        if key in self.switches:
            return self.left.pop(0) if following.lower() in ("true", "false") else "true"
        if not following.startswith("-") or _NEGATIVE.match(following):
            return self.left.pop(0)
        if key in self.valued:
            self.problems.append(f"{flag(key)} needs a value")
            return None
        return "true"

    def _set(self, key: str, value: str, source: str) -> None:
        if (harm := _harm(value)) is not None:
            self.problems.append(f"{source}: {harm}")
        elif key in self.options:
            self.problems.append(f"{flag(key)} is given twice")
        self.options[key] = value


def _harm(word: str) -> str | None:
    if len(word) > LONGEST:
        return f"{show(word)} is longer than {LONGEST} characters"
    if any("\ud800" <= letter <= "\udfff" for letter in word):
        return f"{show(word)} is not UTF-8 text"
    return None


def _stray(word: str) -> str:
    if word in ("-", "--"):
        return f"'{word}' is not allowed"
    if word.startswith("-"):
        return f"{show(word)}: options begin with two dashes; a value is written --key=VALUE"
    return f"{show(word)} belongs to no option; options begin with --, and lists are written 1,2,3"
