"""`diffx recipes [NAME]`: the recipes that ``diffx train --recipe NAME`` knows."""

import json

from attrs import frozen

from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.layout import columns
from diffx_cli.line.options import Shown
from diffx_cli.line.request import Request
from diffx_cli.recipes import recipe, recipes
from diffx_core.config import read_yaml
from diffx_core.plugins.component import KINDS


@frozen(kw_only=True)
class RecipesOptions(Shown):
    """What is shown.

    Args:
        name: one recipe, as the YAML file that it is; by default all of them, a line each.
    """

    name: str | None = None


def run(request: Request) -> None:
    """List the recipes, or print one."""
    options: RecipesOptions = request.options
    if options.name is None:
        known = recipes()
        say(json.dumps(known, indent=2) if options.json else "\n".join(columns(known.items())))
        return
    file = recipe(options.name)
    if options.json:
        values = {key: given.value for key, given in read_yaml(file, named=KINDS).items()}
        say(json.dumps(values, indent=2))
    else:
        say(file.read_text(encoding="utf-8").rstrip())


COMMAND = Command(
    name="recipes",
    summary="List the recipes for well-known data, or print one as a configuration file.",
    options=RecipesOptions,
    run=run,
    words=("name",),
    examples=("diffx recipes", "diffx recipes cifar10 > mine.yaml"),
)
