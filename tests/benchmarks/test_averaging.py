"""One update of the average of the weights: ours, torch-ema's own, and the bare arithmetic.

Run with `pytest tests/benchmarks --benchmark-enable`. Nothing here asserts a time; that all come to
the same average holds on every machine. Without the flag the models are small.
"""

import pytest
import torch
from torch import nn
from torch_ema import ExponentialMovingAverage

from diffx_core.engine.averaging import Exponential, Power

WIDTHS = {"10M": 264, "100M": 834}
DECAY = 0.5
UPDATES = 12


def transformer(width, layers=12):
    """The parameters of a transformer: 12 width^2 in each layer."""
    sizes = [(width, 3 * width), (width, width), (width, 4 * width), (4 * width, width)]
    torch.manual_seed(0)
    return nn.Sequential(
        *(
            nn.Sequential(*(nn.Linear(*size) for size in sizes), nn.LayerNorm(width))
            for _ in range(layers)
        )
    )


def exponential(net):
    average = Exponential(net, DECAY)
    steps = iter(range(1, 1_000_000))
    return lambda: average.update(next(steps)), average.state


def torch_ema(net):
    average = ExponentialMovingAverage(net.parameters(), DECAY)
    return average.update, lambda: named(net, average.shadow_params)


def foreach_lerp(net):
    """With the decays of torch-ema, which begin at 2 / 11 and reach a half at the eighth update."""
    weights = [p.detach() for p in net.parameters()]
    averages = [p.clone() for p in weights]
    decays = iter([(1 + n) / (10 + n) for n in range(1, 8)] + 1_000_000 * [DECAY])
    return (
        lambda: torch._foreach_lerp_(averages, weights, 1 - next(decays)),
        lambda: named(net, averages),
    )


def power(net):
    average = Power(net)
    steps = iter(range(1, 1_000_000))
    return lambda: average.update(next(steps)), average.state


WAYS = {one.__name__: one for one in (exponential, torch_ema, foreach_lerp, power)}


def named(net, values):
    return dict(zip((name for name, _ in net.named_parameters()), values, strict=True))


def moved(net, update):
    """Move the weights and average them, a few times."""
    random = torch.Generator().manual_seed(0)
    for _ in range(UPDATES):
        for p in net.parameters():
            p.detach().add_(torch.randn(p.shape, generator=random))
        update()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", WIDTHS)
def test_update(benchmark, size, way):
    benchmark.group = f"one update of {size} weights"
    net = transformer(16 if benchmark.disabled else WIDTHS[size])
    update, state = WAYS[way](net)
    benchmark.pedantic(update, rounds=20, warmup_rounds=3)
    for name, value in state().items():  # the average of weights that stay is the weights
        torch.testing.assert_close(value, net.get_parameter(name).detach())


@pytest.mark.parametrize("way", ["exponential", "foreach_lerp"])
def test_the_ways_come_to_the_same(way):
    found = []
    for one in (way, "torch_ema"):
        net = transformer(16, layers=2)
        update, state = WAYS[one](net)
        moved(net, update)
        found.append(state())
    # Sums of a dozen numbers near one, rounded otherwise.
    torch.testing.assert_close(*found, atol=1e-5, rtol=0)
