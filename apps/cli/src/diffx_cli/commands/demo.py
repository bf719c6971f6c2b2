"""`diffx demo`: from nothing to a picture of digits, by way of ``train`` and ``sample``."""

import json

from attrs import frozen

from diffx_cli.commands.sample import COMMAND as SAMPLE
from diffx_cli.commands.train import COMMAND as TRAIN
from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.options import Working
from diffx_cli.line.request import Request
from diffx_cli.line.resolve import resolve
from diffx_core.config import flag

TRAINED = {
    "scheduler": "diffx-schedulers:vpsde",
    "backbone": "diffx-backbones:unet",
    "dataset": "diffx-datasets:digits",
    "train.steps": "800",
    "ema.decay": "0.99",
    "preview.every": "100",
    "preview.n": "40",
}
"""What the demo trains: flags of ``diffx train``."""

SAMPLED = {"sampler": "diffx-samplers:unipc", "nfe": "20", "n": "100", "guidance.scale": "2"}
"""How the demo samples: flags of ``diffx sample``."""


@frozen(kw_only=True)
class DemoOptions(Working):
    """The demo is for looking at, so it takes little.

    Args:
        out: folder of the run; by default the next number under runs/.
    """


def run(request: Request) -> None:
    """Train the recipe, sample it, and say where the picture is."""
    from diffx_cli.output.folders import check_free
    from diffx_cli.sample.sampling import Sampling
    from diffx_cli.train.training import train

    options: DemoOptions = request.options
    check_free(options.out, overwrite=options.overwrite)
    shared = {"seed": str(options.seed), "device": options.device}
    place = {} if options.out is None else {"out": str(options.out)}
    replaced = {"overwrite": "true"} if options.overwrite else {}
    trained, sampled = {**TRAINED, **shared, **place, **replaced}, {**SAMPLED, **shared}
    facts = {"train": f"diffx train {_flags(trained)}", "run": None, "picture": None}
    if not options.json:
        say(f"$ {facts['train']}")
    if not options.dry_run:
        made = train(resolve(TRAIN, trained, request.registry))
        if made.reason:
            say(json.dumps(made.facts()) if options.json else made.text())
        made.raise_if_stopped()
        sampled["run"] = facts["run"] = str(made.folder)
    facts["sample"] = f"diffx sample {_flags(sampled)}"
    if not options.json:
        say(f"$ {facts['sample']}")
    if not options.dry_run:
        picture = Sampling.prepare(resolve(SAMPLE, sampled, request.registry)).write().resolve()
        facts["picture"] = str(picture)
        if not options.json:
            say(f"the picture: {picture}")
    if options.json:
        say(json.dumps(facts))


def _flags(options: dict[str, str]) -> str:
    return " ".join(f"{flag(key)} {value}" for key, value in options.items())


COMMAND = Command(
    name="demo",
    summary="Train on handwritten digits for about a minute, and show what comes out.",
    options=DemoOptions,
    run=run,
    examples=("diffx demo", "diffx demo --dry-run"),
)
