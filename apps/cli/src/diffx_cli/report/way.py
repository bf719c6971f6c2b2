"""Samples on their way out of the noise, drawn for a page."""

import torch
from attrs import frozen
from markupsafe import Markup

from diffx_cli.picture.film import is_picture, seen
from diffx_cli.picture.pictures import grid, picture, to_bytes
from diffx_cli.report.frames import element
from diffx_cli.report.scatter import reach, scatter
from diffx_cli.sample.refusals import labels_for
from diffx_core.dataset import DataSpec
from diffx_core.pipeline import Drawing, Pipeline

CALLS = 20
"""Of the network: few, because somebody waits."""
IMAGES, COLUMNS = 16, 4
POINTS = 600
GAP = 8
"""Pixels between the states and what they are taken for."""


@frozen(eq=False)
class Way:
    """Samples that are about to be drawn, and shown on the way.

    Args:
        drawing: of them.
        spec: the facts about the data.
        labels: of them; None for none.
    """

    drawing: Drawing
    spec: DataSpec
    labels: list[int] | None

    @classmethod
    def of(cls, pipeline: Pipeline, seed: int) -> "Way | None":
        """A few samples of a model, of all its classes in turn; None if they cannot be shown."""
        spec = pipeline.spec
        if not is_picture(spec) and spec.shape != (2,):
            return None
        n = IMAGES if spec.is_image else POINTS
        labels = labels_for(None, None, n, spec.num_classes)
        return cls(pipeline.drawing(n, nfe=CALLS, label=labels, seed=seed), spec, labels)

    def frames(self) -> list[tuple[str, Markup]]:
        """Every state, and what the model takes it for."""
        states = [
            (f"step {one.step} of {self.drawing.plan.steps}", seen(self.drawing, self.spec, one))
            for one in self.drawing.states()
        ]
        if not self.spec.is_image:
            half = reach(states[-1][1][0])
            return [(label, scatter(shown, self.labels, half, label)) for label, shown in states]
        return [(label, self._sheets(shown, label)) for label, shown in states]

    def _sheets(self, shown: tuple[torch.Tensor, ...], label: str) -> Markup:
        sheets = [grid(to_bytes(one, self.spec), COLUMNS) for one in shown]
        gap = sheets[0].new_full((*sheets[0].shape[:2], GAP), 255)
        joined = torch.cat([sheets[0], *(x for one in sheets[1:] for x in (gap, one))], 2)
        return element(picture(joined), label)
