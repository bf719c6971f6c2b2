"""`diffx train`: a model from a scheduler, a backbone and a dataset, in a run folder of its own."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from diffx_cli.command import Command
from diffx_cli.console import note, say
from diffx_cli.folders import RUNS, check_free
from diffx_cli.options import Working
from diffx_cli.request import Request
from diffx_core.config import to_yaml, write_yaml
from diffx_core.errors import DiffxError
from diffx_core.options import EmaOptions, ObjectiveOptions, TrainOptions

if TYPE_CHECKING:
    from diffx_cli.assembly import Assembly
    from diffx_cli.place import Place
    from diffx_core.engine.trainer import Trainer

WRITTEN = ("config.yaml", "env.json", "metrics.jsonl", "checkpoints", "latest", "samples")
"""What a run folder holds that diffx wrote."""


@frozen(kw_only=True)
class TrainCommandOptions(Working):
    """What a training run takes besides its components.

    Args:
        out: folder of the run; by default the next number under runs/.
    """


def run(request: Request) -> None:
    """Train, or with ``--dry-run`` show what would be trained."""
    options: TrainCommandOptions = request.options
    check_free(options.out, overwrite=options.overwrite)
    if options.dry_run:
        _show(request)
        return
    folder = train(request)
    if options.json:
        say(json.dumps({"run": str(folder), "step": request.sections["train"].steps}))
    else:
        say(f"trained: {folder}\nsample it: diffx sample {folder}")


def train(request: Request) -> Path:
    """Train and save; returns the run folder."""
    from diffx_cli.assembly import assemble
    from diffx_cli.devices import device_named
    from diffx_cli.place import claimed
    from diffx_core.engine.trainer import Trainer
    from diffx_core.objective import Objective

    options: TrainCommandOptions = request.options
    device = device_named(options.device)
    run = assemble(request)
    trainer = Trainer(
        run.denoiser,
        run.dataset,
        Objective(request.sections["objective"], options.seed),
        request.sections["train"],
        request.sections["ema"],
        device,
    )
    trainer.check()
    _remark(request, run)
    names = (
        request.components[kind].registered.name for kind in ("scheduler", "backbone", "dataset")
    )
    where = options.out, RUNS, "-".join(names), WRITTEN
    with claimed(*where, overwrite=options.overwrite) as place:
        _begin(place, run, str(device))
        _fit(trainer, run, place.folder)
    return place.folder


def _begin(place: "Place", run: "Assembly", device: str) -> None:
    """Write down what is going to be trained."""
    from diffx_cli.environment import environment
    from diffx_cli.writing import writing

    distributions = [one.distribution for one in run.record.components.values()]
    facts = environment(distributions, device=device, argv=sys.argv)
    with writing(place.folder):
        write_yaml(place.partial / "config.yaml", run.record.to_config())
        text = json.dumps(facts, indent=2) + "\n"
        (place.partial / "env.json").write_text(text, encoding="utf-8")
        place.publish()


def _fit(trainer: "Trainer", run: "Assembly", folder: Path) -> None:
    """Train, and save what was learned."""
    from diffx_cli.writing import writing
    from diffx_core.engine.checkpoint import save_checkpoint
    from diffx_core.engine.observers import MetricsFile, Progress

    metrics = MetricsFile(folder / "metrics.jsonl", trainer.options.log_every)
    try:
        with writing(folder):
            average = evolve(trainer, observers=[metrics, Progress()]).fit().average
            save_checkpoint(
                folder,
                trainer.options.steps,
                weights=run.model.state_dict(),
                ema=average.state(),
                record=run.record.to_json(),
            )
    except (KeyboardInterrupt, DiffxError):
        note(f"the run in {folder} has ended early: no weights were saved")
        raise


def _remark(request: Request, run: "Assembly") -> None:
    from diffx_cli.remarks import remarks

    label = request.components["scheduler"].label
    for line in remarks(run.denoiser.scheduler, label, run.denoiser.sigma_data):
        note(line)


def _show(request: Request) -> None:
    from diffx_cli.assembly import assemble
    from diffx_cli.devices import device_named
    from diffx_core.objective import Objective

    device = str(device_named(request.options.device))
    run = assemble(request)
    Objective(request.sections["objective"], request.options.seed).check(run.denoiser)
    _remark(request, run)
    config = run.record.to_config()
    facts = {
        "device": device,
        "parameters": run.parameters,
        "state_bytes": run.state_bytes,
        "examples": len(run.dataset),
    }
    if request.options.json:
        say(json.dumps({"config": config, **facts}, indent=2))
        return
    say(to_yaml(config).rstrip())
    say("\n".join(f"# {name}: {value}" for name, value in facts.items()))


COMMAND = Command(
    name="train",
    summary="Train a model and save it in a run folder.",
    options=TrainCommandOptions,
    run=run,
    components={"scheduler": "vpsde", "backbone": "unet", "dataset": "digits", "text": None},
    sections={"objective": ObjectiveOptions, "train": TrainOptions, "ema": EmaOptions},
    examples=(
        "diffx train --scheduler vesde --backbone dit",
        "diffx train --scheduler vesde --scheduler.sigma_max 20 --train.steps 5000 --dry-run",
        (
            "diffx train --dataset image_folder --dataset.root photos --dataset.captions txt"
            " --text bytes --backbone dit"
        ),
        "diffx train --scheduler vesde --help",
    ),
)
