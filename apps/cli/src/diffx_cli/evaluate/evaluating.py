"""A run whose samples are judged: those that it draws now, batch by batch, or given ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from attrs import asdict, evolve, frozen

from diffx_cli.evaluate.findings import Findings, folder_of, work_of
from diffx_cli.evaluate.given_samples import samples_in
from diffx_cli.evaluate.judging import Judge
from diffx_cli.evaluate.looking import Found
from diffx_cli.evaluate.reference import BATCH
from diffx_cli.line.request import Chosen, Request
from diffx_cli.output.writing import writing
from diffx_cli.processes.parts import Parts
from diffx_cli.sample.refusals import check_interval
from diffx_cli.use.using import Used, used
from diffx_core.config.run import plain
from diffx_core.engine.ranks import Ranks
from diffx_core.pipeline import Drawing
from diffx_core.plugins import Registry
from diffx_core.reached import Reached
from diffx_core.sampler import Sampler

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


def guidance_of(request: Request) -> Any:  # noqa: ANN401 - JSON types
    """How samples are guided, as plain JSON types."""
    return plain(asdict(request.sections["guidance"]))


@frozen(eq=False)
class Series:
    """Samples of a model that are judged, as many in each repeat.

    Args:
        drawing: all of them.
        labels: of all of them; None if they were told none.
        n: of each repeat.
        parts: in which they are drawn.
    """

    drawing: Drawing
    labels: list[int] | None
    n: int
    parts: Parts

    def parted(self, found: Found) -> list[Found]:
        """What was found in each repeat."""
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
    def prepare(
        cls, request: Request, metrics: tuple[Chosen, ...], ranks: Ranks, *, remember: bool
    ) -> Self:
        """Load the run and the real data, and look at these.

        Args:
            request: what was asked for.
            metrics: what is measured.
            ranks: the processes.
            remember: whether samples are also compared with each real example.

        Raises:
            DiffxError: something does not suit.
        """
        model = model_of(request)
        kind = request.options.features
        return cls(model, Judge.prepared(model, metrics, kind, ranks, remember=remember), ranks)

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
        return Series(drawing, told.get("label"), n, Parts(drawing.n, options.batch_size))

    def judged(
        self, series: Series, findings: Findings | None, title: str = "evaluate"
    ) -> dict[str, Any]:
        """Draw the samples that have not been drawn yet, and judge all; nothing on other processes.

        Args:
            series: the samples.
            findings: what was found in some of them; None on other processes than the first.
            title: of the bar.
        """
        folder, todo = folder_of(self.ranks.told(work_of(findings)))
        kept = Findings(folder, series.parts)

        def draw(part: int, advanced: Callable[[float], None]) -> None:
            rows, steps = series.parts.rows(part), series.drawing.plan.steps

            def observe(reached: Reached) -> None:
                advanced(reached.step / steps)

            with self.model.blaming(), writing(folder.parent):
                x = series.drawing.samples(len(rows), observe, share=rows)
                kept.take(part, self.judge.look(self.judge.reference.measured(x)))

        series.parts.work(todo, self.ranks, draw, title)
        if not self.ranks.is_first:
            return {}
        return self._verdict(series.parted(kept.joined()), series.labels)

    def given(self, folder: Path) -> dict[str, Any]:
        """Judge the samples of a folder."""
        x, labels = samples_in(folder, self.model, self.judge.reference)
        self.judge.require(len(x))
        parts = [self.judge.look(one) for one in x.split(BATCH)]
        return {"n": len(x), **self._verdict([Found.joined(parts, Ranks())], labels)}

    def _verdict(self, parts: list[Found], labels: list[int] | None) -> dict[str, Any]:
        """The figures of some samples, and how many are of the class that they should be."""
        n = len(parts[0])
        asked = None if labels is None else [labels[i : i + n] for i in range(0, len(labels), n)]
        with self.model.blaming():
            figures = self.judge.figures(parts)
        accuracy = None if asked is None else self.judge.accuracy(parts, asked)
        memory = self.judge.remembered(parts)
        return {
            "figures": figures,
            "label_accuracy": accuracy,
            **({} if memory is None else {"memorisation": memory}),
        }

    def facts(self) -> dict[str, Any]:
        """The protocol, as plain JSON types."""
        return {"format": FORMAT, **self.model.facts(), **self.judge.facts()}
