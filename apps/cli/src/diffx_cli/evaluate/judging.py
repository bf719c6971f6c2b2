"""How good examples are: every metric of them, beside what real examples and noise get."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from attrs import field, frozen
from torch import Tensor

from diffx_cli.evaluate.choosing import (
    FeatureKind,
    default_features,
    facts_of,
    features_for,
    kinds_for,
    require_files,
    require_readable,
)
from diffx_cli.evaluate.looking import EXAMPLES, Found, Looking
from diffx_cli.evaluate.measured import measured
from diffx_cli.evaluate.memory import NEAREST, Memory, small
from diffx_cli.evaluate.reference import BATCH, Reference, reference_of
from diffx_cli.evaluate.summary import summary
from diffx_cli.line.request import Chosen
from diffx_cli.use.using import Used, saved
from diffx_core.engine.ranks import Ranks, share_of
from diffx_core.errors import ConfigError
from diffx_core.metric import Metric
from diffx_metrics.features.seen import as_kept

Figures: TypeAlias = dict[tuple[str, str], float]
"""By metric and figure: two metrics may have a figure of the same name."""
HELD = "classifier"
"""The features that know the classes of the data."""


@frozen(eq=False)
class Judge:
    """Metrics, what they are measured on, and the real examples as they see them.

    Args:
        metrics: which.
        kind: of features.
        looking: whoever looks.
        reference: the real examples.
        real: what was found in them.
        fingerprint: of them.
        seed: of random choices.
        memory: the real examples that samples might be copies of; None if nobody asks.
    """

    metrics: tuple[Chosen, ...]
    kind: FeatureKind
    looking: Looking
    reference: Reference
    real: Found
    fingerprint: str
    seed: int
    memory: Memory | None = None
    _bounds: dict[int, tuple[list[Figures], list[Figures]]] = field(init=False, factory=dict)

    @classmethod
    def prepared(
        cls,
        model: Used,
        metrics: tuple[Chosen, ...],
        kind: FeatureKind | None,
        ranks: Ranks,
        *,
        remember: bool = False,
    ) -> "Judge":
        """Find the real examples and look at them.

        Args:
            model: the run.
            metrics: which.
            kind: of features; None for those that suit the data.
            ranks: the processes that share the work.
            remember: whether samples are compared with each of the examples.

        Raises:
            ConfigError: the features do not suit the metrics or the data.
            DataError: the data or a file of weights is not what it should be.
        """
        options = model.request.options
        files = {"fid_weights": options.fid_weights, "dinov2": options.dinov2}
        built = {one.label: one.build() for one in metrics}
        kind = kind or default_features(model.pipeline.spec, options.fid_weights)
        kinds = kinds_for(built.values(), kind)
        require_files(kinds, **files)
        reference = reference_of(model, options.reference, options.seed, options.vae)
        with _first_ahead(ranks):  # who trains a classifier, if there has to be one
            device = model.pipeline.device
            features = {one: features_for(one, reference, device, **files) for one in kinds}
        ranks.same("features", str(facts_of(features)))
        require_readable(built, kind, features)
        keep = any(one.reads == "examples" for one in built.values())
        looking = Looking(features, keep, reference.dataset.spec.shape)
        rows = list[Tensor]()

        def examples() -> Iterator[Tensor]:
            for x in reference.examples(share_of(len(reference), ranks)):
                if remember:
                    rows.append(small(x))
                yield x

        real = looking.at(examples(), ranks)
        width = small(torch.zeros(1, *reference.dataset.spec.shape)).shape[1]
        memory = Memory.of(rows, width, ranks, options.seed) if remember else None
        about = reference.fingerprint(ranks), options.seed
        return cls(metrics, kind, looking, reference, real, *about, memory)

    def require(self, n: int) -> None:
        """Refuse to judge too few examples.

        Raises:
            ConfigError: a metric needs more.
        """
        for one in self.metrics:
            try:
                one.build().require(n, len(self.real) // 2)
            except ConfigError as error:
                raise ConfigError(*(f"{one.label}: {line}" for line in error.problems)) from error

    def look(self, x: Tensor) -> Found:
        """What is found in some samples, in the form in which they are measured."""
        found = self.looking.look(x)
        return found if self.memory is None else found.beside(NEAREST, self.memory.see(x))

    def figures(self, parts: list[Found]) -> list[dict[str, Any]]:
        """Every figure of some examples, in parts of equal size, with what bounds it.

        Args:
            parts: what was found in the examples of each repeat.
        """
        n = len(parts[0])
        floors, ceilings = self._between(n, len(parts))
        found = [self._all(part, self.real, i) for i, part in enumerate(parts)]
        return [
            {
                "metric": saved(one.registered, one.options),
                "figure": figure,
                "name": self._called(metric, figure),
                "lower_is_better": metric.lower_is_better,
                **summary([values[one.label, figure] for values in found]),
                "floor": summary([values[one.label, figure] for values in floors]),
                "ceiling": summary([values[one.label, figure] for values in ceilings]),
            }
            for one, metric in self._built()
            for figure in metric.figures
        ]

    def facts(self) -> dict[str, Any]:
        """What the figures are measured on, as plain JSON types."""
        decoder = self.reference.decoder
        return {
            "features": facts_of(self.looking.features),
            "reference": {
                "n": len(self.reference),
                "fingerprint": self.fingerprint,
                "dataset": self.reference.identity,
                "decoded_by": None if decoder is None else decoder.sha256,
            },
        }

    def accuracy(self, parts: list[Found], labels: list[list[int]]) -> dict[str, Any] | None:
        """How many examples are of the class that was asked for; None if nobody can say so."""
        if HELD not in self.looking.features:
            return None
        found = []
        for part, asked in zip(parts, labels, strict=True):
            logits = part.seen[HELD].logits
            assert logits is not None, "it knows the classes"
            found.append((logits.argmax(1) == torch.tensor(asked)).double().mean().item())
        facts = self.looking.features[HELD].facts
        return {**summary(found), "of_real": facts["accuracy"]}

    def remembered(self, parts: list[Found]) -> dict[str, Any] | None:
        """Whether the examples are copies of real ones; None if nobody asks."""
        if self.memory is None:
            return None
        return self.memory.facts([part.seen[NEAREST].features for part in parts])

    def _built(self) -> Iterable[tuple[Chosen, Metric]]:
        return [(one, one.build()) for one in self.metrics]

    def _called(self, metric: Metric, figure: str) -> str:
        if metric.reads == "examples":
            return metric.called(figure, EXAMPLES)
        return metric.called(figure, self.looking.features[metric.features or self.kind].name)

    def _all(self, made: Found, real: Found, repeat: int) -> Figures:
        """Every figure."""
        found: Figures = {}
        for chosen, metric in self._built():
            pair = made.read(metric, self.kind), real.read(metric, self.kind)
            values = measured(chosen, *pair, self.seed + repeat)
            found |= {(chosen.label, figure): one for figure, one in values.items()}
        return found

    def _between(self, n: int, repeats: int) -> tuple[list[Figures], list[Figures]]:
        """What as many real examples get from the others, and what as much noise gets.

        They are half of the real ones at most. Nearly all figures depend on how many examples
        there are of either sort, so that a bound from other numbers would be none.
        """
        if n not in self._bounds:
            floors, ceilings = [], []
            for repeat in range(repeats):
                generator = torch.Generator().manual_seed((self.seed + repeat) % 2**63)
                order = torch.randperm(len(self.real), generator=generator)
                some, others = order.tensor_split([min(n, len(order) // 2)])
                floors.append(self._all(self.real[some], self.real[others], repeat))
                noise = self.looking.at(self._noise(n, generator), Ranks())
                ceilings.append(self._all(noise, self.real, repeat))
            self._bounds[n] = floors, ceilings
        return self._bounds[n]

    def _noise(self, n: int, generator: torch.Generator) -> Iterable[Tensor]:
        """Noise of the size of the data, in the form of the data."""
        spec = self.reference.dataset.spec
        for first in range(0, n, BATCH):
            count = min(BATCH, n - first)
            x = spec.sigma_data * torch.randn(count, *spec.shape, generator=generator)
            yield as_kept(x, spec)


@contextmanager
def _first_ahead(ranks: Ranks) -> Iterator[None]:
    """The first process does something, and only then the others do."""
    if not ranks.is_first:
        ranks.wait()
    yield
    if ranks.is_first:
        ranks.wait()
