"""A page for each command, from the declaration that its help is made of."""

from collections.abc import Iterable, Mapping

from diffx_cli.line.command import Command
from diffx_cli.line.help import usage
from diffx_docs.links import relative, source_page
from diffx_docs.markdown import code, fenced, plain, table
from diffx_docs.options import option_table
from diffx_docs.source import file_of

FOLDER = "commands"


def page_of(command: Command) -> str:
    """The page of a command."""
    return f"{FOLDER}/{command.name}.md"


def command_pages(commands: Mapping[str, Command]) -> dict[str, str]:
    """Every page, by its place on the site."""
    pages = {page_of(one): _page(one) for one in commands.values()}
    return {f"{FOLDER}/index.md": _index(commands.values()), **pages}


def sources(commands: Mapping[str, Command]) -> set[str]:
    """The files in which the commands are."""
    return {file_of(one.run) for one in commands.values()}


def _index(commands: Iterable[Command]) -> str:
    rows = [(f"[`{one.name}`]({one.name}.md)", plain(one.summary)) for one in commands]
    return (
        "# Commands\n\n"
        "`diffx COMMAND --help` says what is here. An option is written `--train.steps 500` or"
        " `--train.steps=500`, in any order; `-` and `_` are the same; the same keys stand in a"
        " file for `--config`. What is not known is refused before anything is done.\n\n"
        f"{table(('command', 'what it does'), rows)}\n"
        "| exit code | what went wrong |\n| --- | --- |\n"
        "| 0 | nothing |\n| 1 | diffx itself, or a check of `doctor` or `check-plugin` |\n"
        "| 2 | usage or configuration |\n"
        "| 3 | a plugin |\n| 4 | data |\n| 5 | a checkpoint |\n| 6 | a loss that is not finite |\n"
        "| 130, 143 | interrupted by Ctrl-C, by SIGTERM |\n"
    )


def _page(command: Command) -> str:
    here = page_of(command)
    parts = [
        f"# diffx {command.name}\n",
        f"{plain(command.summary)} ([source]({relative(source_page(file_of(command.run)), here)}))",
        "",
        fenced(usage(command)),
    ]
    if command.examples:
        parts += ["## Examples\n", fenced("\n".join(command.examples), "bash")]
    if command.components or command.lists:
        parts += ["## Components\n", "Each has options of its own, on its page.\n"]
        parts += [table(("option", "default", "which"), _components(command))]
    parts += ["## Options\n", option_table(command.options, "")]
    for name, target in command.sections.items():
        parts += [f"## Options of {name}\n", option_table(target, f"{name}.")]
    return "\n".join(parts)


def _components(command: Command) -> Iterable[tuple[str, str, str]]:
    for kind, default in command.components.items():
        yield code(f"--{kind}"), code(default or "") or "none", _kind(kind)
    for name, kind in command.lists.items():
        yield code(f"--{name}"), "see below", f"{_kind(kind)}, any number"


def _kind(kind: str) -> str:
    return f"[{kind}](../components/{kind}/index.md)"
