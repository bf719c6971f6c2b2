"""A trained run, loaded for a command that does something with it."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from attrs import asdict, frozen

from diffx_cli.line.blame import blaming
from diffx_cli.line.request import Request
from diffx_cli.output.folders import newest_run
from diffx_cli.output.place import Place, claimed
from diffx_cli.output.results import results
from diffx_cli.processes.devices import device_named
from diffx_cli.sample.refusals import labels_for, refusal, with_nfe
from diffx_core.config.run import Run, SavedComponent, plain
from diffx_core.contract import require
from diffx_core.engine.checkpoint import latest
from diffx_core.engine.layout import place, standing
from diffx_core.engine.manifest import NAME, read_manifest
from diffx_core.errors import ConfigError
from diffx_core.pipeline import Pipeline
from diffx_core.plugins.registered import Registered
from diffx_core.sampler import Sampler
from diffx_core.scheduler import Scheduler

WEIGHTS = "ema.safetensors"
"""The file of a checkpoint that a model is made of."""


@frozen
class Told:
    """What the model is told of each of n examples.

    Args:
        labels: their classes; None for none.
        prompts: their texts; None for none.
    """

    labels: list[int] | None
    prompts: list[str] | None

    def of(self, rows: range) -> "Told":
        """What it is told of some of them."""
        part = slice(rows.start, rows.stop)
        labels = None if self.labels is None else self.labels[part]
        return Told(labels, None if self.prompts is None else self.prompts[part])


@frozen(eq=False)
class Used:
    """A run that a command uses.

    Args:
        request: what was asked for, with options that extend `diffx_cli.line.options.Using`.
        source: the run, or one of its checkpoints.
        pipeline: the run, loaded.
        sampler: the method, if the command takes one.
    """

    request: Request
    source: Path
    pipeline: Pipeline
    sampler: Sampler[Any] | None

    @property
    def run(self) -> Run:
        """How the model was made."""
        assert self.pipeline.run is not None, "it was loaded"
        return self.pipeline.run

    @property
    def method(self) -> Sampler[Any]:
        """The sampler of a command that always has one."""
        assert self.sampler is not None, "the command has one by default"
        return self.sampler

    @property
    def home(self) -> Path:
        """The folder of the run."""
        return self.source if (self.source / "latest").exists() else self.source.parent.parent

    @property
    def weights(self) -> str:
        """The SHA-256 of the weights."""
        folder = self.source
        if not (folder / NAME).exists():
            folder = standing(place(folder, self.pipeline.step))
        return weights_of(folder)

    def told(self, n: int, prompts: list[str] | None = None) -> Told:
        """What the options of `diffx_cli.line.options.Telling` say of n examples.

        Without any, a model that knows classes is told all of them in turn.

        Args:
            n: how many.
            prompts: their texts, if it is not the options that say them.

        Raises:
            ConfigError: the model knows no such labels, or the file of prompts cannot be read.
        """
        options = self.request.options
        prompts = prompts or prompts_for(options.prompt, options.prompts, n)
        labelled = (options.label, options.labels) != (None, None)
        classes = self.pipeline.spec.num_classes if labelled or prompts is None else None
        return Told(labels_for(options.label, options.labels, n, classes), prompts)

    def facts(self) -> dict[str, Any]:
        """Which model it is and how it is sampled, as plain JSON types."""
        chosen, data = self.request.components, self.run.components.get("dataset")
        process, method = chosen.get("scheduler"), chosen.get("sampler")
        under = None if process is None else saved(process.registered, process.options)
        return {
            "run": str(self.source),
            "step": self.pipeline.step,
            "weights": self.weights,
            "dataset": None if data is None else asdict(data),
            "trained_with": self.run.components["scheduler"].name,
            "scheduler": under or asdict(self.run.components["scheduler"]),
            "swapped": under is not None,
            "sampler": None
            if method is None or self.sampler is None
            else saved(method.registered, asdict(self.sampler)),
            "text_root": plain(self.request.options.text_root),
            "device": self.pipeline.device.type,
            "torch": str(torch.__version__),
            "seed": self.request.options.seed,
        }

    def blaming(self) -> AbstractContextManager[None]:
        """Adds to an error of a component whose component it was."""
        owners = {kind: one.label for kind, one in self.run.components.items()}
        return blaming({**owners, **self.request.labels()})

    def place(self, what: str, label: str, names: tuple[str, ...]) -> AbstractContextManager[Place]:
        """The folder for results: --out, or the next number in RUN/what.

        Args:
            what: the folder in that of the run.
            label: what follows the number.
            names: what diffx writes there; one of them has to be in `folders.MARKERS`.
        """
        out, overwrite = self.request.options.out, self.request.options.overwrite
        return claimed(out, results(self.home, what), label, names, overwrite=overwrite, width=4)


def used(
    request: Request,
    *,
    nfe: int | None = None,
    source: Path | None = None,
    loaded: Pipeline | None = None,
) -> Used:
    """Load the run of a request, with its sampler and under its process if it names them.

    Args:
        request: with options that extend `diffx_cli.line.options.Using`.
        nfe: how often the sampler calls the network, if that was said.
        source: the run or checkpoint, if not the one that the request names.
        loaded: what that has been loaded to already.

    Raises:
        ConfigError: the sampler or the process does not suit the run.
        CheckpointError: there is no such run.
    """
    options, chosen = request.options, request.components.get("sampler")
    sampler = None if chosen is None else with_nfe(chosen, nfe)
    process = request.components.get("scheduler")
    source, device = source or options.run or newest_run(), device_named(options.device)
    try:
        if loaded is not None:
            pipeline = _fitted(loaded, sampler, None if process is None else process.build())
        else:
            pipeline = Pipeline.load(
                source,
                request.registry,
                device=device,
                sampler=sampler,
                scheduler=None if process is None else process.build(),
                text_root=options.text_root,
            )
    except ConfigError as error:
        raise ConfigError(*refusal(request, source, error)) from error
    return Used(request, source, pipeline, sampler)


def _fitted(loaded: Pipeline, sampler: Sampler[Any] | None, process: Scheduler | None) -> Pipeline:
    """A pipeline under another process, if there is one, which suits the sampler."""
    pipeline = loaded if process is None else loaded.under(process)
    if sampler is not None:
        require(sampler, pipeline.denoiser.scheduler)
    return pipeline


def weights_of(path: Path) -> str:
    """The SHA-256 of the weights of a checkpoint, or of the latest one of a run."""
    folder = path if (path / NAME).exists() else latest(path)
    return read_manifest(folder)[WEIGHTS].sha256


def saved(registered: Registered, options: Mapping[str, Any]) -> dict[str, Any]:
    """A component and all of its options, as plain JSON types."""
    return asdict(SavedComponent.of(registered, options))


def prompts_for(prompt: str | None, file: Path | None, n: int) -> list[str] | None:
    """The prompt of each of n samples; None for none.

    Args:
        prompt: of all of them.
        file: one in each line, for the samples in turn.
        n: how many samples.

    Raises:
        ConfigError: the file cannot be read, or has none.
    """
    if prompt is not None:
        return [prompt] * n
    if file is None:
        return None
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"--prompts: {file} cannot be read: {reason}") from error
    wanted = [line.strip() for line in lines if line.strip()]
    if not wanted:
        raise ConfigError(f"--prompts: {file} has no line with a prompt")
    return [wanted[i % len(wanted)] for i in range(n)]
