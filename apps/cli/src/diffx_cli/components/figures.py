"""How large a network is and what one call of it costs, found without memory for its weights."""

from collections.abc import Callable

import torch
from attrs import frozen
from torch import nn

from diffx_cli.line.blame import told
from diffx_core.dataset import Condition, DataSpec
from diffx_core.engine.trainer import parameter_count
from diffx_core.errors import ComponentError

CONTEXT_LENGTH = 77
"""Tokens of a context of which nothing else is known, as many as those of CLIP's texts."""


@frozen(kw_only=True)
class Figures:
    """What a network takes.

    Args:
        parameters: numbers that are trained.
        flop: operations of one call with one example, an addition and a multiplication being two.
    """

    parameters: int
    flop: int


def figures(
    build: Callable[[DataSpec], nn.Module], spec: DataSpec, tokens: int = CONTEXT_LENGTH
) -> Figures:
    """The figures of a network for data, counted on a device that computes nothing.

    Args:
        build: makes the network.
        spec: the facts about the data.
        tokens: of the context that comes with them, if any does.

    Raises:
        ConfigError: it refuses such data.
        ComponentError: it cannot be called without values.
    """
    from torch.utils.flop_counter import FlopCounterMode  # its import changes torch's defaults

    with torch.device("meta"):
        # a library of texts may have put functions of torch on the processor
        network = build(spec).eval().to("meta")
        x, noise_label = torch.empty(1, *spec.shape), torch.empty(1)
        cond = Condition(
            label=None if spec.num_classes is None else torch.zeros(1, dtype=torch.int64),
            image=x if spec.paired else None,
            context=None if spec.context is None else torch.empty(1, tokens, spec.context),
        )
        try:
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                network(x, noise_label, cond)
        except Exception as error:
            raise ComponentError("backbone", f"cannot be measured: {told(error)}") from error
    return Figures(parameters=parameter_count(network), flop=counter.get_total_flops())
