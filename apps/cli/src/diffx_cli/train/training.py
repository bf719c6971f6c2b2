"""Training as the command line does it: in a folder, from the beginning or where it ended."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch
from attrs import evolve, frozen

from diffx_cli.line.console import command, note
from diffx_cli.line.request import Request
from diffx_cli.output.folders import RUNS, check_free, is_run
from diffx_cli.output.place import Place, claimed
from diffx_cli.output.results import OF_WEIGHTS
from diffx_cli.output.writing import writing
from diffx_cli.processes.devices import device_named
from diffx_cli.processes.joining import is_launched, joined, shared
from diffx_cli.train.assembly import Assembly, assemble
from diffx_cli.train.beginning import begin_with, first_weights
from diffx_cli.train.environment import environment
from diffx_cli.train.launches import FACT, again, launchers
from diffx_cli.train.loggers import saved
from diffx_cli.train.previews import previews
from diffx_cli.train.remarks import remarks, unreached
from diffx_cli.train.resuming import Origin, origin
from diffx_cli.train.watching import observers_for
from diffx_core.config import to_yaml, write_yaml
from diffx_core.engine.checkpoint import Checkpoint
from diffx_core.engine.durable import replace_text
from diffx_core.engine.duties import NO_BETTER
from diffx_core.engine.events import Observer
from diffx_core.engine.ranks import Ranks
from diffx_core.engine.room import check_room
from diffx_core.engine.saver import Saver
from diffx_core.engine.signals import exit_code, listening
from diffx_core.engine.trainer import Outcome, Trainer
from diffx_core.errors import CheckpointError, StoppedError
from diffx_core.objective import Objective
from diffx_core.plugins.component import Kind

WRITTEN = (
    *("config.yaml", "env.json", "metrics.jsonl", "loss.png", "latest", "best"),
    *("checkpoints", "averages", *OF_WEIGHTS),
    *("metrics.csv", "tensorboard", "wandb", "wandb-id", "mlflow", "mlflow-id"),
)
"""What a run folder holds that diffx wrote."""


@frozen
class Trained:
    """What training came to.

    Args:
        folder: of the run.
        step: steps taken.
        steps: steps wanted.
        reason: why it ended before them; empty if it did not.
    """

    folder: Path
    step: int
    steps: int
    reason: str = ""

    def facts(self) -> dict[str, Any]:
        """For programs."""
        return {"run": str(self.folder), "step": self.step, "ended": self.reason or None}

    def text(self) -> str:
        """For people."""
        sample = f"sample it: {command('sample', self.folder)}"
        if not self.reason:
            return f"trained: {self.folder}\n{sample}"
        ended = f"ended after step {self.step} of {self.steps}: {self.reason}"
        if not self.reason.startswith(NO_BETTER):  # else it would end again at once
            sample = f"go on: {command('train', '--resume', self.folder)}"
        return f"{ended}; saved in {self.folder}\n{sample}"

    def raise_if_stopped(self) -> None:
        """End the program as whoever sent a signal expects.

        Raises:
            StoppedError: a signal ended the run.
        """
        code = exit_code(self.reason)
        if code is not None:
            raise StoppedError(f"stopped by {self.reason}", code=code)


def train(request: Request) -> Trained:
    """Train and save."""
    options = request.options
    with (
        repeatable(wanted=options.deterministic),
        listening(launched=is_launched()) as asked,
        joined(options.device) as ranks,
    ):
        return _train(request, ranks, asked)


def _train(request: Request, ranks: Ranks, asked: Callable[[], str]) -> Trained:
    """Train as one of the processes that have come together."""
    options, here = request.options, launchers(ranks)
    resume, overwrite = again(here, options.resume, options.out, overwrite=options.overwrite)
    request = evolve(request, options=evolve(options, overwrite=overwrite))
    if ranks.is_first and not is_run(options.out):
        check_free(options.out, overwrite=overwrite)
    run = assemble(request)
    made_of = [run.record.to_json(), torch.__version__]
    ranks.same("configuration", json.dumps(made_of, sort_keys=True))
    trainer = evolve(trainer_for(request, run), stop=asked, ranks=ranks)
    trainer.check()
    if ranks.is_first:
        return _lead(request, run, trainer, resume, here)
    start = shared(ranks, None)
    begin_with(run.model, None, ranks)
    outcome = trainer.fit(start)
    return Trained(Path(), outcome.step, trainer.options.steps, outcome.reason)


def _lead(
    request: Request, run: Assembly, trainer: Trainer, resume: str | None, here: frozenset[str]
) -> Trained:
    """Train in a folder; the other processes, if there are any, have none."""
    options, every = request.options, request.sections["train"].log_every
    config = _config(request, run)
    source = origin(resume, options.out, run.record, config, overwrite=options.overwrite)
    first = first_weights(options.init_from, None if source is None else source.folder)
    if source is None:
        check_free(options.out, overwrite=options.overwrite)
    remark(request, run)
    with _claimed(request, source) as place:
        found = None if source is None else source.checkpoint(run.record)
        start = shared(trainer.ranks, found)
        if source is not None and start is not None:
            source.turn(start)
        began = begin_with(run.model, first if start is None else None, trainer.ranks) or first
        config |= {} if began is None else {"init_from": str(began)}
        made = {"processes": trainer.ranks.world, FACT: sorted(here)}
        _begin(request, run, config, place, made, again=source is not None)
        told = observers_for(request, place.folder, config, every)
        outcome = _fit(trainer, place.folder, start, told)
    return Trained(place.folder, outcome.step, trainer.options.steps, outcome.reason)


def remark(request: Request, run: Assembly) -> None:
    """Say what a person should know before the run begins."""
    label = request.components["scheduler"].label
    sections = request.sections
    known = remarks(run.denoiser.scheduler, label, run.denoiser.sigma_data)
    for line in [*known, *unreached(sections["train"], sections["ema"])]:
        note(line)


@contextmanager
def repeatable(*, wanted: bool) -> Iterator[None]:
    """Torch takes only algorithms that give the same every time, if wanted."""
    if wanted:  # torch refuses products of matrices on CUDA without it
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(wanted or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def trainer_for(request: Request, run: Assembly) -> Trainer:
    """What trains a run, as the command line says."""
    options, sections = request.options, request.sections
    device = device_named(options.device)
    return Trainer(
        run.denoiser,
        run.dataset,
        Objective(sections["objective"], options.seed),
        sections["train"],
        sections["ema"],
        device,
        validate=sections["validate"],
        preview=sections["preview"],
        draw=previews(run, sections["preview"], request.registry, device, options.seed),
        save=sections["save"],
        record=run.record.to_json(),
    )


def _claimed(request: Request, source: Origin | None) -> AbstractContextManager[Place]:
    """The folder of the run: a new one, or the one where it goes on."""
    options, again = request.options, source is not None
    kinds: tuple[Kind, ...] = ("scheduler", "backbone", "dataset")
    names = (request.components[one].registered.name for one in kinds)
    out = options.out if source is None else source.folder
    where = out, RUNS, "-".join(names), WRITTEN
    return claimed(*where, overwrite=options.overwrite, again=again)


def _begin(
    request: Request,
    run: Assembly,
    config: Mapping[str, Any],
    place: Place,
    made: Mapping[str, Any],
    *,
    again: bool,
) -> None:
    """Write down what is going to be trained."""
    distributions = [one.distribution for one in run.record.components.values()]
    device = str(device_named(request.options.device))
    facts = {**environment(distributions, device=device, argv=sys.argv), **made}
    text = json.dumps(facts, indent=2) + "\n"
    with writing(place.folder):
        check_room(place.folder, run.state_bytes)
        if again:
            replace_text(place.folder / "config.yaml", to_yaml(config))
            replace_text(place.folder / "env.json", text)
        else:
            write_yaml(place.partial / "config.yaml", config)
            (place.partial / "env.json").write_text(text, encoding="utf-8")
            place.publish()


def _config(request: Request, run: Assembly) -> dict[str, Any]:
    """What a configuration file says that makes the same run."""
    options = request.options
    exact = {"deterministic": True} if options.deterministic else {}
    return {**run.record.to_config(), **exact, **saved(request)}


def _fit(
    trainer: Trainer, folder: Path, start: Checkpoint | None, observers: Sequence[Observer]
) -> Outcome:
    """Train, and save what was learned."""
    protect = None if start is None else start.path
    saver = Saver(folder, keep=trainer.save.keep, protect=protect, note=note)
    try:
        with writing(folder, checkpoints=False):
            return evolve(trainer, saver=saver, observers=observers).fit(start)
    except BaseException as cause:
        try:
            saver.finish()  # the folder is ours until nobody writes there
        except CheckpointError as error:
            if error is not cause:
                note(str(error))
        last = saver.step if saver.step is not None else start and start.step
        kept = "no weights were saved" if last is None else f"step {last} is its last checkpoint"
        note(f"the run in {folder} has ended early: {kept}")
        raise
