"""From a request to sample to pictures."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from attrs import asdict, field, frozen
from torch import Tensor

from diffx_cli.beside import beside
from diffx_cli.blame import blaming
from diffx_cli.devices import device_named
from diffx_cli.film import Film, is_picture
from diffx_cli.folders import newest_run
from diffx_cli.pictures import write_samples
from diffx_cli.place import claimed
from diffx_cli.refusals import check_interval, labels_for, refusal, with_nfe
from diffx_cli.request import Request
from diffx_cli.writing import writing
from diffx_core.config.run import Run, SavedComponent, plain
from diffx_core.engine.ranks import Ranks, share_of
from diffx_core.errors import ConfigError
from diffx_core.pipeline import Drawing, Pipeline
from diffx_core.plugins.registered import Registered
from diffx_core.reached import Reached

WRITTEN = ("grid.png", "images", "progress.gif", "sample.json", "samples.safetensors")
"""What a folder of samples holds that diffx wrote."""

ALONE = Ranks()

MOST_COLUMNS = 20
"""Of a grid with one column for each class; with more classes it is about square."""


@frozen(eq=False)
class Sampling:
    """Samples that are about to be drawn.

    Args:
        request: what was asked for.
        source: the run, or one of its checkpoints.
        pipeline: the run, loaded.
        drawing: the samples.
        labels: of every sample; None if the model knows none.
        prompts: of every sample; None if they are told no text.
    """

    request: Request
    source: Path
    pipeline: Pipeline
    drawing: Drawing
    labels: list[int] | None
    prompts: list[str] | None
    _calls: list[int] = field(factory=lambda: [0], init=False, repr=False)

    @classmethod
    def prepare(cls, request: Request) -> Self:
        """Load the run and check that it can be sampled as it was asked.

        Raises:
            ConfigError: the sampler, the process, the guidance or the labels do not suit the run.
            CheckpointError: there is no such run.
        """
        options, chosen = request.options, request.components["sampler"]
        sampler = with_nfe(chosen, options.nfe)
        process = request.components.get("scheduler")
        source, device = options.run or newest_run(), device_named(options.device)
        try:
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
        if options.gif and not is_picture(pipeline.spec):
            raise ConfigError("--gif: shows images, and this model makes none")
        if options.gif and sampler.steps == 1:
            raise ConfigError(
                f"--gif: shows every step, and {chosen.label} makes one: say how many with --steps"
            )
        prompts = _prompts(options.prompt, options.prompts, options.n)
        labelled = (options.label, options.labels) != (None, None)
        classes = pipeline.spec.num_classes if labelled or prompts is None else None
        labels = labels_for(options.label, options.labels, options.n, classes)
        drawing = pipeline.drawing(
            options.n,
            sampler=sampler,
            guidance=request.sections["guidance"],
            label=labels,
            prompt=prompts,
            image=beside(options.beside, options.n, pipeline.spec),
            seed=options.seed,
        )
        check_interval(request.sections["guidance"], drawing)
        return cls(request, source, pipeline, drawing, labels, prompts)

    @property
    def run(self) -> Run:
        """How the model was made."""
        assert self.pipeline.run is not None, "it was loaded"
        return self.pipeline.run

    def facts(self) -> dict[str, Any]:
        """What reproduces the samples, as plain JSON types."""
        chosen = self.request.components
        process = chosen.get("scheduler")
        under = None if process is None else _saved(process.registered, process.options)
        data = self.run.components.get("dataset")
        return {
            "run": str(self.source),
            "step": self.pipeline.step,
            "sampler": _saved(chosen["sampler"].registered, asdict(self.drawing.sampler)),
            "nfe": self.drawing.sampler.nfe or self._calls[0] or None,
            "dataset": None if data is None else asdict(data),
            "trained_with": self.run.components["scheduler"].name,
            "scheduler": under or asdict(self.run.components["scheduler"]),
            "guidance": plain(asdict(self.request.sections["guidance"])),
            "labels": self.labels,
            "prompts": self.prompts,
            "beside": plain(self.request.options.beside),
            "seed": self.request.options.seed,
            "n": self.request.options.n,
        }

    def help(self, ranks: Ranks) -> None:
        """Draw this process's share of the samples, which another one writes."""
        self._drawn(ranks)

    def write(self, ranks: Ranks = ALONE) -> Path:
        """Draw the samples and write them; returns the file to look at.

        Args:
            ranks: the processes that share the work, of which this is the first.
        """
        options, spec = self.request.options, self.pipeline.spec
        columns = _columns(options.n, self.labels or self.prompts)
        film = Film(self.drawing, spec, columns) if options.gif else None
        owners = {kind: one.label for kind, one in self.run.components.items()}

        def observe(reached: Reached) -> None:
            self._calls[0] = max(self._calls[0], reached.calls)  # of the batch that took most
            if film is not None:
                film(reached)

        name = self.request.components["sampler"].registered.name
        home = self.source if (self.source / "latest").exists() else self.source.parent.parent
        where = options.out, home / "samples", name, WRITTEN
        with claimed(*where, overwrite=options.overwrite, width=4) as place:
            with blaming({**owners, **self.request.labels()}):
                samples = self._drawn(ranks, observe)
            with writing(place.folder):
                text = json.dumps(self.facts(), indent=2) + "\n"
                (place.partial / "sample.json").write_text(text, encoding="utf-8")
                if film is not None:
                    film.write(place.partial / "progress.gif")
                file = write_samples(place.partial, samples, spec, self.labels, columns)
                place.publish()
        return place.folder / file.name

    def _drawn(self, ranks: Ranks, observe: Callable[[Reached], None] | None = None) -> Tensor:
        """All samples, of which this process draws its share."""
        ranks.same("samples to draw", json.dumps(self.facts(), sort_keys=True))
        share = share_of(self.drawing.n, ranks)
        return ranks.joined(self.drawing.samples(observe=observe, share=share))


def _saved(registered: Registered, options: Mapping[str, Any]) -> dict[str, Any]:
    return asdict(SavedComponent.of(registered, options))


def _prompts(prompt: str | None, file: Path | None, n: int) -> list[str] | None:
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


def _columns(n: int, told: Sequence[int | str] | None) -> int:
    different = len(set(told or ()))
    if 1 < different <= MOST_COLUMNS:
        return different
    return min(MOST_COLUMNS, max(1, round(math.sqrt(n))))
