"""The network as a function of plain tensors, and how far a program is from what it says."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from diffx_cli.export.subject import Subject
from diffx_core.dataset import Condition
from diffx_core.errors import ComponentError

TRACED = 2
"""Examples that a program is made with: one would be taken to be the only number there is."""

Inputs: TypeAlias = dict[str, Tensor]


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


def free(name: str) -> tuple[str, ...]:
    """The first axes of an input, whose lengths are free."""
    return ("batch", "tokens") if name in ("context", "mask") else ("batch",)


def traced(subject: Subject, inputs: Inputs) -> torch.export.ExportedProgram:
    """The network as a program, for any lengths of its free axes.

    It says nothing of the files on this machine that it was made from.

    Raises:
        Exception: whatever torch raises of a network that it cannot follow.
    """
    axes = {one: torch.export.Dim(one) for name in inputs for one in free(name)}
    shapes = {name: {i: axes[one] for i, one in enumerate(free(name))} for name in inputs}
    told = Told(subject.network)
    program = torch.export.export(told, (), kwargs=inputs, dynamic_shapes=shapes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def described(inputs: Inputs) -> dict[str, Any]:
    """The inputs of a program as plain JSON types."""
    return {
        name: {
            "shape": [*free(name), *one.shape[len(free(name)) :]],
            "dtype": str(one.dtype)[6:],
        }
        for name, one in inputs.items()
    }


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what torch tells of its own insides to itself: what matters, it raises."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            redirect_stderr(io.StringIO()),
            redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def checked(subject: Subject, program: Callable[[Inputs], Tensor], most: float) -> float:
    """The largest difference between what both say, as a share of the largest number.

    Args:
        subject: the network.
        program: what it has become.
        most: that may be.

    Raises:
        ComponentError: it is more.
    """
    worst = 0.0
    for count in (1, 3, TRACED):
        inputs = subject.inputs(count)
        expected = subject.says(inputs)
        with torch.no_grad():
            said = program(inputs)
        size = expected.abs().max().clamp(min=torch.finfo(expected.dtype).tiny)
        worst = max(worst, float(((said - expected).abs().max() / size).nan_to_num(torch.inf)))
    if worst > most:
        raise ComponentError(
            "backbone",
            f"{subject.label}: the program differs from the network by {worst:.1e} of what it says,"
            f" more than {most:.0e}",
        )
    return worst
