"""From a request to evaluate to figures."""

import json
import sys
from pathlib import Path
from typing import Any, Self

import torch
from attrs import asdict, evolve, frozen

from diffx_cli.evaluate.choosing import default_features
from diffx_cli.evaluate.judging import Judge, drawn
from diffx_cli.evaluate.looking import Found
from diffx_cli.evaluate.reference import BATCH
from diffx_cli.evaluate.trained_on import FACTS
from diffx_cli.line.layout import columns
from diffx_cli.line.request import Chosen, Request
from diffx_cli.output.writing import writing
from diffx_cli.sample.refusals import check_interval
from diffx_cli.use.given import Giver
from diffx_cli.use.using import Used, used
from diffx_core.config.run import plain
from diffx_core.engine.ranks import Ranks
from diffx_core.errors import DataError
from diffx_core.pipeline import Drawing
from diffx_core.plugins import Registry
from diffx_core.sampler import Sampler
from diffx_metrics.features.seen import as_kept

FILE = "evaluation.json"
FORMAT = 1
"""Of the file; it changes when an older reader could not read a newer one."""
UNNAMED = ("frechet", "kid", "prdc", "sliced_wasserstein")
"""What is measured if nobody says what: all that needs no weights and no classes."""


def metrics_for(request: Request) -> tuple[Chosen, ...]:
    """The metrics of a request."""
    named = request.listed.get("metric", ())
    return named or tuple(by_name(request.registry, name) for name in UNNAMED)


def by_name(registry: Registry, name: str) -> Chosen:
    """A metric with the options that it has if nobody says any."""
    return Chosen.by_default(registry.find("metric", name))


def model_of(request: Request) -> Used:
    """The run of a request, with the sampler if there is something to draw.

    Raises:
        DiffxError: there is none, or it cannot be sampled so.
    """
    options = request.options
    if getattr(options, "samples", None) is not None:
        others = dict(request.components)
        others.pop("sampler")
        request = evolve(request, components=others)
    return used(request, nfe=None if isinstance(options.nfe, tuple) else options.nfe)


@frozen(eq=False)
class Series:
    """Samples of a model that are judged, in parts of equal size.

    Args:
        drawing: all of them.
        labels: of all of them; None if they were told none.
        n: of each part.
    """

    drawing: Drawing
    labels: list[int] | None
    n: int

    def parted(self, found: Found) -> list[Found]:
        """What was found in each part."""
        return [found[i : i + self.n] for i in range(0, len(found), self.n)]


@frozen(eq=False)
class Evaluation:
    """A run that is about to be evaluated.

    Args:
        model: the run.
        judge: measures.
        ranks: the processes that share the work, one of which this is.
    """

    model: Used
    judge: Judge
    ranks: Ranks

    @classmethod
    def prepare(cls, request: Request, metrics: tuple[Chosen, ...], ranks: Ranks) -> Self:
        """Load the run and the real data, and look at these.

        Raises:
            DiffxError: something does not suit.
        """
        options = request.options
        model = model_of(request)
        kind = options.features or default_features(model.pipeline.spec, options.fid_weights)
        return cls(model, Judge.prepared(model, metrics, kind, ranks), ranks)

    def series(self, sampler: Sampler[Any], n: int, repeats: int) -> Series:
        """The samples of a sampler, which are told what real examples were told.

        Raises:
            ConfigError: they cannot be drawn.
        """
        options, guidance = self.model.request.options, self.model.request.sections["guidance"]
        told = self.judge.reference.told(n * repeats, options.seed)
        drawing = self.model.pipeline.drawing(
            n * repeats, sampler=sampler, guidance=guidance, seed=options.seed, **told
        )
        check_interval(guidance, drawing)
        return Series(drawing, told.get("label"), n)

    def judged(self, series: Series, title: str = "") -> dict[str, Any]:
        """Draw samples and judge them."""
        from tqdm import tqdm

        total, batch = series.drawing.n, self.model.request.options.batch_size
        quiet = not (sys.stderr.isatty() and self.ranks.is_first)
        with (
            self.model.blaming(),
            tqdm(total=total, unit="sample", desc=title or None, disable=quiet) as bar,
        ):

            def samples(share: range) -> torch.Tensor:
                x = series.drawing.samples(batch_size=batch, share=share)
                bar.update(len(share) * self.ranks.world)
                return x

            found = drawn(samples, self.judge, total, self.ranks, batch)
        if not self.ranks.is_first:
            return {}
        return self._verdict(series.parted(found), series.labels)

    def given(self, folder: Path) -> dict[str, Any]:
        """Judge the samples of a folder."""
        x, labels = _samples_in(folder, self.model)
        self.judge.require(len(x))
        spec = self.model.pipeline.spec
        found = self.judge.looking.at((as_kept(one, spec) for one in x.split(BATCH)), Ranks())
        return {"n": len(x), **self._verdict([found], labels)}

    def _verdict(self, parts: list[Found], labels: list[int] | None) -> dict[str, Any]:
        """The figures of some samples, and how many are of the class that they should be."""
        n = len(parts[0])
        asked = None if labels is None else [labels[i : i + n] for i in range(0, len(labels), n)]
        with self.model.blaming():
            figures = self.judge.figures(parts)
        accuracy = None if asked is None else self.judge.accuracy(parts, asked)
        return {"figures": figures, "label_accuracy": accuracy}

    def facts(self) -> dict[str, Any]:
        """The protocol, as plain JSON types."""
        return {"format": FORMAT, **self.model.facts(), **self.judge.facts()}


def write(evaluation: Evaluation, facts: dict[str, Any], label: str) -> Path:
    """Write the figures to a folder of their own; returns the file."""
    with evaluation.model.place("evaluations", label, (FILE,)) as place, writing(place.folder):
        text = json.dumps(facts, indent=2) + "\n"
        (place.partial / FILE).write_text(text, encoding="utf-8")
        place.publish()
    return place.folder / FILE


def table(facts: dict[str, Any]) -> str:
    """The figures for people."""
    rows = [("FIGURE", "VALUE", "REAL DATA", "NOISE", "BETTER")]
    for one in facts["figures"]:
        better = "lower" if one["lower_is_better"] else "higher"
        shown = (_shown(one), _shown(one["floor"]), _shown(one["ceiling"]))
        rows.append((one["name"], *shown, better))
    accuracy = facts["label_accuracy"]
    if accuracy is not None:
        rows.append(
            ("of the class asked for", _shown(accuracy), f"{accuracy['of_real']:.4g}", "", "higher")
        )
    return "\n".join(columns(rows, indent=0))


def guidance_of(request: Request) -> Any:  # noqa: ANN401 - JSON types
    """How samples are guided, as plain JSON types."""
    return plain(asdict(request.sections["guidance"]))


def _shown(summary: dict[str, Any]) -> str:
    spread = summary["spread"]
    return f"{summary['mean']:.4g}" + ("" if spread is None else f" +- {spread:.2g}")


def _samples_in(folder: Path, model: Used) -> tuple[torch.Tensor, list[int] | None]:
    """The samples of a folder that `diffx sample` wrote, or of any folder of images."""
    inside = (folder / "images", folder / "samples.safetensors")
    place = next((one for one in inside if one.exists()), folder)
    x = Giver("--samples", model.pipeline.spec).examples([place]).x
    facts = folder / FACTS
    if not facts.exists():
        return x, None
    try:
        labels = json.loads(facts.read_text("utf-8")).get("labels")
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"--samples {facts}: cannot be read: is it that of diffx?") from error
    if labels is None:
        return x, None
    if not isinstance(labels, list) or len(labels) != len(x):
        raise DataError(f"--samples {folder}: {FACTS} is about other samples than there are")
    return x, [int(one) for one in labels]
