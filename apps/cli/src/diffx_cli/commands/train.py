"""`diffx train`: a model from a scheduler, a backbone and a dataset, in a run folder of its own."""

import json
from pathlib import Path

from attrs import field, frozen
from attrs.validators import ge, optional

from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.options import Learning
from diffx_cli.line.request import Request
from diffx_cli.output.folders import check_free
from diffx_cli.train.loggers import saved
from diffx_core.config import to_yaml
from diffx_core.errors import ConfigError
from diffx_core.options import (
    EmaOptions,
    ObjectiveOptions,
    PreviewOptions,
    SaveOptions,
    TrainOptions,
    ValidateOptions,
)


@frozen(kw_only=True)
class TrainCommandOptions(Learning):
    """What a training run takes besides its components.

    Args:
        out: folder of the run; by default the next number under runs/. If it holds a run of the
            same command, that goes on.
        resume: run or checkpoint to go on from, with its configuration; auto goes on with the
            newest run of the same command, and begins one if there is none.
        loggers: who is told besides metrics.jsonl, by default nobody; their options are those of
            ``--logger``.
        init_from: run or checkpoint whose averaged weights the network begins with.
        deterministic: compute in the same order each time, where an accelerator would not.
        nproc: processes on this machine that share each batch, one for each accelerator; the run is
            the same. torchrun starts them on many machines.
        max_restarts: how often all processes are started again after one has failed, to go on from
            the newest checkpoint.
    """

    resume: str | None = None
    loggers: tuple[str, ...] = ()
    init_from: Path | None = None
    deterministic: bool = False
    nproc: int | None = field(default=None, validator=optional(ge(1)))
    max_restarts: int = field(default=0, validator=ge(0))

    def __attrs_post_init__(self) -> None:
        if self.resume is not None and self.init_from is not None:
            raise ConfigError(
                "--resume and --init-from exclude each other: a run that goes on has weights"
            )
        if self.max_restarts and self.nproc is None:
            raise ConfigError("--max-restarts needs --nproc: torchrun has an option of its own")


def run(request: Request) -> None:
    """Train, or with ``--dry-run`` show what would be trained."""
    options: TrainCommandOptions = request.options
    if options.nproc is not None:
        _check_shares(options.nproc, request.sections["train"].batch_size)
    if options.dry_run:
        check_free(options.out, overwrite=options.overwrite)
        _show(request)
        return
    from diffx_cli.processes.launching import launch, starts_others
    from diffx_cli.train.training import train

    if options.nproc is not None and starts_others():
        again = "--resume goes on from the newest checkpoint"
        launch(options.nproc, options.device, options.max_restarts, again)
        return
    trained = train(request)
    if options.json:
        say(json.dumps(trained.facts()))
    else:
        say(trained.text())
    trained.raise_if_stopped()


def _check_shares(processes: int, batch_size: int) -> None:
    """Refuse, before they are started, more processes than a batch has examples."""
    from diffx_core.engine.ranks import Ranks

    Ranks(world=processes).slots(batch_size)


def _show(request: Request) -> None:
    from diffx_cli.processes.devices import device_named
    from diffx_cli.train.assembly import assemble
    from diffx_cli.train.training import remark, trainer_for

    device = str(device_named(request.options.device))
    run = assemble(request)
    trainer = trainer_for(request, run)
    trainer.check_data()
    trainer.objective.check(run.denoiser)
    remark(request, run)
    config = {**run.record.to_config(), **saved(request)}
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
    sections={
        "objective": ObjectiveOptions,
        "train": TrainOptions,
        "ema": EmaOptions,
        "save": SaveOptions,
        "validate": ValidateOptions,
        "preview": PreviewOptions,
    },
    lists={"loggers": "logger"},
    examples=(
        "diffx train --scheduler vesde --backbone dit",
        "diffx train --scheduler vesde --scheduler.sigma_max 20 --train.steps 5000 --dry-run",
        "diffx train --resume runs/00000-vpsde-unet-digits --train.steps 4000",
        (
            "diffx train --dataset image_folder --dataset.root photos --dataset.captions txt"
            " --text bytes --backbone dit"
        ),
        "diffx train --scheduler vesde --help",
    ),
)
