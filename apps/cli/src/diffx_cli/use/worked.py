"""Results of a command that worked on examples: files to look at, and what reproduces them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from attrs import field, frozen
from torch import Tensor

from diffx_cli.line.request import Request
from diffx_cli.output.place import Place
from diffx_cli.output.writing import writing
from diffx_cli.picture.film import is_picture
from diffx_cli.picture.pictures import MOST_SHOWN, grid, picture, to_bytes, write_samples
from diffx_cli.use.given import Given, Giver
from diffx_cli.use.using import Told, Used, used
from diffx_core.config.run import plain
from diffx_core.errors import ConfigError

WIDEST = 20
"""Images in a row of a picture."""


@frozen(eq=False)
class Work:
    """A model and the examples that it is to work on.

    Args:
        model: the run.
        given: the examples.
        told: what the model is told of them.
    """

    model: Used
    given: Given
    told: Told

    @property
    def n(self) -> int:
        """How many examples there are."""
        return len(self.given)

    def facts(self) -> dict[str, Any]:
        """What reproduces the results, as plain JSON types."""
        options = self.model.request.options
        return {
            **self.model.facts(),
            "images": list(self.given.names),
            "fit": options.fit,
            "labels": self.told.labels,
            "prompts": self.told.prompts,
        }


def work(request: Request) -> Work:
    """Load the run of a request and read what was given to it.

    Args:
        request: with options that extend `diffx_cli.line.options.Giving`.

    Raises:
        DataError: an example cannot be read, or is not such as the model's.
    """
    options = request.options
    model = alone(used(request, nfe=options.nfe), request.command.name)
    given = Giver("--images", model.pipeline.spec, options.fit).examples(options.images)
    return Work(model, given, told_if_said(model, len(given)))


def alone(model: Used, command: str) -> Used:
    """A model that works on examples without others beside them.

    Raises:
        ConfigError: it reads an image beside each of them.
    """
    if model.pipeline.spec.paired:
        raise ConfigError(
            f"{model.source}: the model reads an image beside each example, which diffx {command}"
            " cannot give it"
        )
    return model


def told_if_said(model: Used, n: int) -> Told:
    """What the options say of n examples; nothing if they say nothing."""
    options = model.request.options
    said = (options.label, options.labels, options.prompt, options.prompts)
    return Told(None, None) if said == (None,) * 4 else model.told(n)


@frozen(eq=False)
class Made:
    """What came of it.

    Args:
        x: (n, *shape) the results.
        rows: for images, what is shown before each result.
        more: writes the other files into a folder.
        facts: besides what was known before.
        columns: of the picture, if there is nothing before the results.
    """

    x: Tensor
    rows: Sequence[Tensor] = ()
    more: Callable[[Path], None] | None = None
    facts: dict[str, Any] = field(factory=dict)
    columns: int = WIDEST


def written(
    model: Used, label: str, names: Sequence[str], facts: dict[str, Any], make: Callable[[], Made]
) -> tuple[Path, dict[str, Any]]:
    """Make the results and write them, all or nothing; the file to look at, and all facts.

    Args:
        model: the run.
        label: of the folder.
        names: of the files that may be written besides those of all samples.
        facts: what is known before.
        make: does the work.
    """
    what = model.request.command.name
    files = ("grid.png", "images", "samples.safetensors", f"{what}.json", *names)
    with model.place(what, label, files) as place:
        with model.blaming(), torch.no_grad():
            made = make()
        facts = {**facts, **made.facts}
        with writing(place.folder):
            write_facts(place, what, facts)
            if made.more is not None:
                made.more(place.partial)
            file = _pictures(place.partial, made, model, facts.get("labels"))
            place.publish()
    return place.folder / file.name, facts


def write_facts(place: Place, what: str, facts: dict[str, Any]) -> None:
    """Write what reproduces the results."""
    text = json.dumps(plain(facts), indent=2) + "\n"
    (place.partial / f"{what}.json").write_text(text, encoding="utf-8")


def _pictures(folder: Path, made: Made, model: Used, labels: list[int] | None) -> Path:
    spec = model.pipeline.spec
    file = write_samples(folder, made.x, spec, labels, made.columns)
    if made.rows and is_picture(spec):
        wide = len(made.rows) + 1
        shown = [one[: MOST_SHOWN // wide] for one in (*made.rows, made.x.float())]
        every = torch.stack(shown, 1)
        count = len(every)
        rows = -(-count // (WIDEST // wide))
        columns = -(-count // rows) * wide
        picture(grid(to_bytes(every.flatten(0, 1), spec), columns)).save(file)
    return file
