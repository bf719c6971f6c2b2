"""`diffx new-plugin scheduler NAME`: a package to begin with, whole and tested."""

import json
import shlex
from pathlib import Path

from attrs import frozen

from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.options import Shown
from diffx_cli.line.request import Request
from diffx_cli.output.folders import check_free
from diffx_cli.output.place import claimed
from diffx_cli.output.writing import writing
from diffx_core.plugins.component import Kind


@frozen(kw_only=True)
class NewPluginOptions(Shown):
    """What is made, and where.

    Args:
        kind: what the component is.
        name: what a user will type for it; the package is called diffx-NAME.
        out: folder of the package; by default it has the name of the package.
        dry_run: say which files would be written, and write nothing.
    """

    kind: Kind
    name: str
    out: Path | None = None
    dry_run: bool = False


def run(request: Request) -> None:
    """Write the files of the package, all of them or none.

    Raises:
        ConfigError: the name cannot be used or is taken, or the folder is not empty.
    """
    from diffx_cli.new_plugin import check_name, distribution_of, files

    options: NewPluginOptions = request.options
    check_name(options.kind, options.name, request.registry)
    folder = options.out or Path(distribution_of(options.name))
    check_free(folder, overwrite=None)
    written = files(options.kind, options.name)
    if not options.dry_run:
        _write(folder, written)
    if options.json:
        facts = {"folder": None if options.dry_run else str(folder), "files": [*written]}
        say(json.dumps(facts, indent=2))
        return
    say("\n".join(str(folder / name) for name in written))
    if options.dry_run:
        say("nothing was written")
    else:
        say(f"install it: {shlex.join(['pip', 'install', '-e', f'{folder}[test]'])}")
        say(f"test it: {shlex.join(['pytest', str(folder / 'tests')])}")
        say(f"see how it does: diffx check-plugin {options.name}")


def _write(folder: Path, written: dict[str, str]) -> None:
    with claimed(folder, Path(), "", (), overwrite=None) as place, writing(folder):
        for name, text in written.items():
            file = place.partial / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        place.publish()


COMMAND = Command(
    name="new-plugin",
    summary="Make a package of your own: a working component, its entry point and its tests.",
    options=NewPluginOptions,
    run=run,
    words=("kind", "name"),
    examples=(
        "diffx new-plugin scheduler my_sde",
        "diffx new-plugin sampler leapfrog --out packages/leapfrog",
        "diffx new-plugin dataset moons --dry-run",
    ),
)
