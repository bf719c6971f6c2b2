"""The network as a program of torch.export, which runs where diffx is not installed."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diffx_cli.export.subject import Subject
from diffx_core.dataset import Condition
from diffx_core.errors import ComponentError, reason

PROGRAM = "model.pt2"
TOLERANCE = 1e-5
"""Of the largest number that the network says: what float32 may differ by in another order."""
TRACED = 2
"""Examples that the program is made with: one would be taken to be the only number there is."""


class Told(nn.Module):
    """The network with what it is told as plain tensors.

    Args:
        network: the network.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        x: Tensor,
        noise_label: Tensor,
        label: Tensor | None = None,
        context: Tensor | None = None,
        mask: Tensor | None = None,
        image: Tensor | None = None,
    ) -> Tensor:
        """What the network says."""
        cond = Condition(label=label, context=context, mask=mask, image=image)
        said: Tensor = self.network(x, noise_label, cond)
        return said


def export(subject: Subject, folder: Path) -> dict[str, Any]:
    """Write the program, and hold what was written against the network.

    Raises:
        ComponentError: the network cannot be made a program, or the program says something else.
    """
    inputs = subject.inputs(TRACED)
    free = {name: _free(name) for name in inputs}
    axes = {one: torch.export.Dim(one) for ones in free.values() for one in ones}
    shapes = {name: {i: axes[one] for i, one in enumerate(ones)} for name, ones in free.items()}
    try:
        with _quiet(), torch.no_grad():
            made = torch.export.export(
                Told(subject.network), (), kwargs=inputs, dynamic_shapes=shapes
            )
            torch.export.save(made, folder / PROGRAM)
            program = torch.export.load(folder / PROGRAM).module()
    except OSError:
        raise
    except Exception as error:  # torch raises what it likes
        raise ComponentError(
            "backbone", f"{subject.label} cannot be made a program: {reason(error)}"
        ) from error
    return {
        "inputs": {
            name: {
                "shape": [*free[name], *one.shape[len(free[name]) :]],
                "dtype": str(one.dtype)[6:],
            }
            for name, one in inputs.items()
        },
        "error": _error(subject, program),
        "tolerance": TOLERANCE,
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch tells of its own insides to itself: what matters, it raises."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _free(name: str) -> tuple[str, ...]:
    """The first axes of an input, whose lengths are free."""
    return ("batch", "tokens") if name in ("context", "mask") else ("batch",)


def _error(subject: Subject, program: nn.Module) -> float:
    """The largest difference between what both say, as a share of the largest number."""
    worst = 0.0
    for count in (1, 3, TRACED):
        inputs = subject.inputs(count)
        expected = subject.says(inputs)
        with torch.no_grad():
            said = program(**inputs)
        size = expected.abs().max().clamp(min=torch.finfo(expected.dtype).tiny)
        worst = max(worst, float(((said - expected).abs().max() / size).nan_to_num(torch.inf)))
    if worst > TOLERANCE:
        raise ComponentError(
            "backbone",
            f"{subject.label}: the program differs from the network by {worst:.1e} of what it says,"
            f" more than {TOLERANCE:.0e}",
        )
    return worst
