"""What is special about the U-Net that keeps magnitudes."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from diffx_backbones.edm2 import EDM2
from diffx_backbones.mp_blocks import CosineAttention, Down, Up
from diffx_backbones.mp_layers import (
    MPConv,
    MPLinear,
    MPSinusoids,
    MPTable,
    mp_cat,
    mp_silu,
    mp_sum,
    pixel_norm,
    renormalise,
)
from diffx_core import Condition, DataSpec
from diffx_core.engine.averaging import Exponential

SPEC = DataSpec((2, 8, 8), num_classes=3)
SMALL = {"channels": 8, "mults": (1, 2), "attention_sides": (4,)}


def magnitude(x):
    return x.square().mean().sqrt().item()


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(10 + seed))


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


LAYERS = {
    "linear": lambda: MPLinear(64, 256)(normal(64, 64)),
    "convolution": lambda: MPConv(64, 64, 3)(normal(4, 64, 16, 16)),
    "table": lambda: MPTable(99, 256)(torch.arange(99)),
    "sinusoids": lambda: MPSinusoids(16)(torch.tensor([17.0])),
    "activation": lambda: mp_silu(normal(4, 64, 16, 16)),
    "sum": lambda: mp_sum(normal(2**16), normal(2**16, seed=1), 0.3),
    "concatenation": lambda: mp_cat(normal(4, 96, 16, 16), normal(4, 32, 16, 16, seed=1)),
    "pixels": lambda: pixel_norm(7 * normal(4, 64, 16, 16)),
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_a_layer_keeps_the_magnitude(layer):
    # a convolution loses what its padding does not say
    assert magnitude(layer()) == pytest.approx(1, abs=0.06)


def test_a_concatenation_gives_either_half_of_the_variance():
    y = mp_cat(normal(4, 96, 16, 16), normal(4, 32, 16, 16, seed=1))
    assert magnitude(y[:, :96]) ** 2 * 96 == pytest.approx(64, rel=0.05)
    assert magnitude(y[:, 96:]) ** 2 * 32 == pytest.approx(64, rel=0.05)


def read_by(block):
    """What a block is given of unit variance, besides the condition."""
    first = block.residual.conv1 if isinstance(block.skip, nn.Identity) else block.skip
    reads = block.reads if isinstance(block, Up) else 0
    x = normal(2, first.weight.shape[1] - reads, 16, 16)
    if isinstance(block, Down):
        return (x,)
    return x, normal(2, reads, 16, 16, seed=1) if reads else None


@pytest.mark.parametrize("sides", [(), (16, 8)], ids=["plain", "attended"])
def test_every_block_keeps_the_magnitude(sides):
    network = EDM2(DataSpec((3, 32, 32)), preset="XS", blocks=1, attention_sides=sides)
    condition = normal(2, 512)
    found = {}
    with torch.no_grad():
        for name, block in network.named_modules():
            if isinstance(block, Down | Up):
                x, *skip = read_by(block)
                found[name] = magnitude(block(x, condition, *skip))
    assert len(found) == 7 + 2 + 11
    # attention takes the mean over many pixels, of which little is left: 0.92 with nothing at all
    assert {name: one for name, one in found.items() if not 0.9 <= one <= 1.1} == {}


@pytest.mark.parametrize(
    ("preset", "published"),
    [("XS", 125), ("S", 280), ("M", 498), ("L", 777), ("XL", 1119), ("XXL", 1523)],
)
def test_presets_have_the_size_that_was_published(preset, published):
    with torch.device("meta"):
        network = EDM2(DataSpec((4, 64, 64), num_classes=1000), preset=preset)
    size = sum(p.numel() for p in network.parameters()) / 1e6
    assert size == pytest.approx(published, abs=0.6)


INPUTS = (
    normal(4, 2, 8, 8),
    torch.tensor([0.0, 1.0, 500.0, 999.0]),
    Condition(torch.tensor([0, 1, 2, -1])),
)


def loss(network):
    return (network(*INPUTS) - normal(4, 2, 8, 8, seed=1)).square().mean()


def trained(network, num_steps=3):
    """The network after steps of the optimizer that the trainer uses."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.05, fused=True)
    for _ in range(num_steps):
        optimizer.zero_grad()
        loss(network).backward()
        optimizer.step()
    return network


def layers(network):
    return [m for m in network.modules() if isinstance(m, MPLinear | MPConv | MPTable)]


def lengths(network):
    return torch.cat([layer.weight.flatten(1).square().mean(1).sqrt() for layer in layers(network)])


def test_every_weight_but_the_gains_is_of_a_layer_that_keeps_magnitudes():
    network = EDM2(SPEC, **SMALL)
    rest = {name for name, _ in network.named_parameters()}
    rest -= {f"{name}.weight" for name, m in network.named_modules() if m in layers(network)}
    assert {name.rsplit(".")[-1] for name in rest} == {"gain"}


def test_training_takes_the_length_of_weights_back_before_each_step():
    network = trained(EDM2(SPEC, **SMALL))
    moved = lengths(network)
    assert (moved - 1).abs().max() > 1e-3
    network.eval()(*INPUTS)
    assert torch.equal(lengths(network), moved)
    network.train()(*INPUTS)
    assert_close(lengths(network), torch.ones_like(moved), atol=2e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_the_length_of_weights_is_taken_back_once_in_any_precision(dtype):
    network = EDM2(SPEC, **SMALL).to(dtype)
    renormalise(network)
    once = [layer.weight.clone() for layer in layers(network)]
    renormalise(network)
    for layer, before in zip(layers(network), once, strict=True):
        assert torch.equal(layer.weight, before)
    eps = max(1e-5, torch.finfo(dtype).eps)
    assert_close(
        lengths(network.float()), torch.ones(()).expand_as(lengths(network)), atol=eps, rtol=0
    )


def test_gains_leave_half_precision_as_it_is():
    network = EDM2(SPEC, **SMALL).eval()
    seen = set()
    for name, module in network.named_modules():
        if name.endswith("residual.dropout"):
            module.register_forward_pre_hook(lambda _, args: seen.add(args[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        network(*INPUTS)
    assert seen == {torch.bfloat16}


def test_the_length_of_a_weight_says_nothing():
    network = trained(EDM2(SPEC, **SMALL)).eval()
    before = network(*INPUTS)
    for layer in layers(network):
        layer.weight.data *= 3
    assert_close(network(*INPUTS), before)


def test_gradients_are_at_right_angles_to_their_weights():
    network = trained(EDM2(SPEC, **SMALL))
    network.zero_grad()
    loss(network).backward()
    for layer in layers(network):
        weight, gradient = layer.weight.flatten(1), layer.weight.grad.flatten(1)
        along = (weight * gradient).sum(1).abs()
        assert (along <= 1e-4 * weight.norm(dim=1) * gradient.norm(dim=1) + 1e-9).all()


def test_two_calls_before_a_step_give_the_gradients_of_both():
    network = trained(EDM2(SPEC, **SMALL))
    gradients = []
    for count in (1, 2):
        network.zero_grad()
        sum(loss(network) for _ in range(count)).backward()
        gradients.append([p.grad.clone() for p in network.parameters()])
    for once, twice in zip(*gradients, strict=True):
        assert_close(twice, 2 * once, atol=1e-6, rtol=1e-4)


def test_the_average_of_the_weights_is_a_network():
    network = EDM2(SPEC, **SMALL)
    average = Exponential(network, 0.5)
    for step in range(1, 4):
        trained(network, 1)
        average.update(step)
    own = network.eval()(*INPUTS)
    with average.applied():
        averaged = network(*INPUTS)
    assert averaged.isfinite().all()
    assert not torch.equal(averaged, own)
    assert torch.equal(network(*INPUTS), own)


def test_attention_heeds_directions_and_no_lengths():
    attention = CosineAttention(16, 2)
    x = normal(2, 16, 4, 4)
    added = attention(x) - mp_sum(x, torch.zeros_like(x), 0.3)
    louder = attention(5 * x) - mp_sum(5 * x, torch.zeros_like(x), 0.3)
    assert_close(louder, added, atol=1e-4, rtol=0)


def test_a_zero_pixel_stays_zero():
    assert torch.equal(pixel_norm(torch.zeros(1, 4, 1, 1)), torch.zeros(1, 4, 1, 1))


def test_dropout_acts_in_training_alone():
    network = trained(EDM2(SPEC, **SMALL, dropout=0.5))
    assert not torch.equal(network(*INPUTS), network(*INPUTS))
    assert torch.equal(network.eval()(*INPUTS), network(*INPUTS))


@pytest.mark.parametrize(("sides", "count"), [((), 0), ((4,), 4), ((8, 4), 7)], ids=str)
def test_attention_is_at_the_sides_that_are_named(sides, count):
    network = EDM2(SPEC, channels=8, mults=(1, 2), blocks=1, attention_sides=sides)
    assert sum(isinstance(m, CosineAttention) for m in network.modules()) == count


@pytest.mark.parametrize("mults", [(2, 1), (2, 2, 2), (3,)], ids=str)
def test_the_first_level_may_have_any_multiple_of_the_channels(mults):
    network = EDM2(SPEC, channels=8, mults=mults, blocks=1, attention_sides=())
    network.gain.data.fill_(1.0)
    y = network(*INPUTS)
    assert y.shape == INPUTS[0].shape
    assert y.isfinite().all()
