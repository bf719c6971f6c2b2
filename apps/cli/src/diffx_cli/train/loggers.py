"""Loggers from a request to a run: whose option is whose, what is saved, who listens."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffx_cli.line.request import Chosen, Request
from diffx_cli.output.secret import without_secrets
from diffx_core.config import Given, nearest, options_of
from diffx_core.config.run import plain
from diffx_core.plugins.component import Kind
from diffx_core.plugins.registered import Registered

if TYPE_CHECKING:
    from diffx_core.engine.observers import Logged


def shared_out(
    kind: Kind, owners: Sequence[Registered], given: Mapping[str, Given]
) -> tuple[list[dict[str, Given]], list[str]]:
    """The options of several components of one kind: each goes to all that have it.

    Args:
        kind: theirs.
        owners: who was chosen.
        given: the options by name.

    Returns:
        those of each owner, and a line for each option that nobody has.

    Raises:
        PluginError: one of them cannot be imported.
    """
    names = [[one.name for one in options_of(owner.load())] for owner in owners]
    known = [name for some in names for name in some]
    whose = " and ".join(one.name for one in owners)
    problems = [
        f"{one.source}: is no option of the chosen {kind}s ({whose}){nearest(name, known)}"
        for name, one in given.items()
        if name not in known
    ]
    return [{name: one for name, one in given.items() if name in some} for some in names], problems


def saved(request: Request) -> dict[str, Any]:
    """What a configuration file says that makes the same run log to the same places.

    Passwords are left out.
    """
    chosen = request.listed.get("logger", ())
    told = {name: _written(one.options[name]) for one in chosen for name in one.told}
    names = [one.registered.qualified for one in chosen]
    return {**({"loggers": names} if names else {}), **({"logger": told} if told else {})}


def _written(value: object) -> Any:  # noqa: ANN401 - JSON
    written = plain(value)
    return without_secrets(written) if isinstance(written, str) else written


def loggers_for(
    chosen: Iterable[Chosen], folder: Path, config: Mapping[str, Any], every: int
) -> list["Logged"]:
    """The observers of a run that hand what they hear to loggers.

    Args:
        chosen: which loggers.
        folder: of the run.
        config: of the run, in JSON types.
        every: steps between two that are logged.
    """
    from diffx_core.engine.observers import Logged

    return [Logged(one.build(), one.label, folder, config, every) for one in chosen]
