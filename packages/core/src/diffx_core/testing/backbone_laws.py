"""What must hold of every network: what it says, what it listens to, and what it refuses.

A law builds the network itself (`diffx_core.testing.subjects`). What zeros would hide is looked at
after three steps towards a random target.
"""

from typing import Any

import torch
from attrs import evolve
from torch import Tensor

from diffx_core.dataset import Condition, DataSpec
from diffx_core.errors import ConfigError
from diffx_core.testing.global_state import left_alone
from diffx_core.testing.law import Law, Measurement
from diffx_core.testing.subjects import CONTEXT, NUM_CLASSES, Build, fitting, fresh, trained

HUGE = 10**12
"""A size that cannot be allocated."""
ROUNDING = 1e-9
"""How far float64 may stray where the order of sums is free, as a share of the output."""


def share(error: Tensor, of: Tensor) -> float:
    """The largest error as a share of the largest value; infinite if it is not a number."""
    size = of.detach().abs().max().clamp(min=torch.finfo(of.dtype).tiny)
    return float((error.detach().abs().max() / size).nan_to_num(torch.inf))


def zero_at_first(build: Build) -> Measurement:
    """The largest value that a new network says."""
    network, inputs = fresh(build)
    return Measurement(float(network(*inputs).detach().abs().max()), 0)


def shape_and_dtype(build: Build) -> Measurement:
    """Zero if the output looks like x, in float64 and float32; else infinite."""
    network, inputs = fresh(build)
    for dtype in (torch.float64, torch.float32):
        x, noise_label = inputs.x.to(dtype), inputs.noise_label.to(dtype)
        y = network.to(dtype)(x, noise_label, inputs.cond)
        if (y.shape, y.dtype) != (x.shape, x.dtype):
            detail = f"{y.dtype} {tuple(y.shape)} for {x.dtype} {tuple(x.shape)}"
            return Measurement(float("inf"), 0, detail)
    return Measurement(0, 0)


def gradients(build: Build) -> Measurement:
    """How many parameters get none: no tensor at all at first, or only zeros later on."""
    lost: dict[str, None] = {}
    more: tuple[dict[str, Any], ...] = ({"context": CONTEXT}, {"paired": True})
    told = [{"num_classes": None}, *(facts for facts in more if deafness(build, **facts) is None)]
    for facts in ({}, *told):
        network, inputs = fresh(build, **facts)
        network(*inputs).square().sum().backward()
        lost |= {name: None for name, one in network.named_parameters() if one.grad is None}
        network, inputs = trained(build, **facts)
        network.train()(*inputs).square().sum().backward()
        lost |= {
            name: None
            for name, one in network.named_parameters()
            if one.grad is None or not one.grad.any()
        }
    return Measurement(len(lost), 0, ", ".join(list(lost)[:3]))


def independent(build: Build) -> Measurement:
    """How far an example's output moves when the batch around it is another."""
    network, (x, noise_label, cond) = trained(build)
    assert cond.label is not None
    y = network(x, noise_label, cond)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    permuted = network(x[order], noise_label[order], Condition(cond.label[order]))
    alone = network(x[:1], noise_label[:1], Condition(cond.label[:1]))
    return Measurement(max(share(permuted - y[order], y), share(alone - y[:1], y)), ROUNDING)


def noise_level(build: Build) -> Measurement:
    """How many examples say the same at another noise level."""
    network, (x, noise_label, cond) = trained(build)
    change = network(x, noise_label + 1, cond) - network(x, noise_label, cond)
    return Measurement(float((~change.flatten(1).any(1)).sum()), 0)


def classes(build: Build) -> Measurement:
    """How many examples say the same of another class."""
    network, (x, noise_label, cond) = trained(build)
    assert cond.label is not None
    other = Condition((cond.label + 1) % NUM_CLASSES)
    change = network(x, noise_label, other) - network(x, noise_label, cond)
    return Measurement(float((~change.flatten(1).any(1)).sum()), 0)


@torch.random.fork_rng(devices=())
def deafness(build: Build, **facts: Any) -> str | None:  # noqa: ANN401  # fields of a DataSpec
    """Why a network does not read what the facts promise; None if it does."""
    try:
        build(evolve(fitting(build), **facts))
    except ConfigError as refused:
        return refused.problems[0]
    return None


def context(build: Build) -> Measurement:
    """How many examples miss a token that is there, or hear one that is not."""
    if (why := deafness(build, context=CONTEXT)) is not None:
        return Measurement(float("nan"), 0, why, measured=False)
    network, (x, noise_label, cond) = trained(build, context=CONTEXT)
    tokens, mask = cond.context, cond.mask
    assert tokens is not None
    assert mask is not None
    y = network(x, noise_label, cond)

    def moved(told: Condition) -> Tensor:
        change: Tensor = (network(x, noise_label, told) - y).detach().abs() / y.abs().max()
        return change.flatten(1).amax(1)

    missed = mask.any(1) & (moved(evolve(cond, context=tokens + mask[..., None])) == 0)
    heard = moved(evolve(cond, context=tokens.masked_fill(~mask[..., None], 100.0))) > ROUNDING
    untold = network(x, noise_label, Condition())
    remembered = share(network(x, noise_label, cond.forgotten()) - untold, untold) > ROUNDING
    detail = f"{int(missed.sum())} miss one, {int(heard.sum())} hear one, of {len(x)}"
    detail += "; what is forgotten is heard" if remembered else ""
    return Measurement(int(missed.sum() + heard.sum()) + remembered, 0, detail)


def image(build: Build) -> Measurement:
    """How many examples say the same beside another image."""
    if (why := deafness(build, paired=True)) is not None:
        return Measurement(float("nan"), 0, why, measured=False)
    network, (x, noise_label, cond) = trained(build, paired=True)
    assert cond.image is not None
    other = evolve(cond, image=cond.image + 1)
    change = network(x, noise_label, other) - network(x, noise_label, cond)
    return Measurement(float((~change.flatten(1).any(1)).sum()), 0)


def forgotten(build: Build) -> Measurement:
    """The difference between forgotten labels and none, with classes and without."""
    network, (x, noise_label, cond) = trained(build)
    untold = network(x, noise_label, Condition())
    worst = share(network(x, noise_label, cond.forgotten()) - untold, untold)
    network, (x, noise_label, cond) = trained(build, None)
    untold = network(x, noise_label, Condition())
    return Measurement(max(worst, share(network(x, noise_label, cond) - untold, untold)), ROUNDING)


def repeatable(build: Build) -> Measurement:
    """The difference between two calls of a network that does not train; infinite if it draws."""
    network, inputs = trained(build)
    if not left_alone(lambda: network(*inputs)).holds:
        return Measurement(float("inf"), 0, "it changes the global random numbers")
    return Measurement(float((network(*inputs) - network(*inputs)).detach().abs().max()), 0)


def state(build: Build) -> Measurement:
    """The difference after another network has read the weights; infinite if it cannot.

    The other one has been called before, with half of everything: what it remembers of that is no
    state either.
    """
    network, inputs = trained(build)
    other, _ = fresh(build, seed=1)
    x, noise_label, cond = inputs
    with torch.no_grad():
        other(x / 2, noise_label / 2, cond)
    known, read = network.state_dict(), other.state_dict()
    if wrong := sorted(known.keys() ^ read.keys()):
        return Measurement(float("inf"), 0, f"{wrong[0]} is in one of two networks")
    other.load_state_dict(known)
    return Measurement(float((other.eval()(*inputs) - network(*inputs)).detach().abs().max()), 0)


def bf16(build: Build) -> Measurement:
    """The largest error under bf16 autocast, as a share of the largest value."""
    network, (x, noise_label, cond) = trained(build)
    network, x, noise_label = network.float(), x.float(), noise_label.float()
    exact = network(x, noise_label, cond)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = network(x, noise_label, cond)
    return Measurement(share(rounded.float() - exact, exact), 0.1)


def given(build: Build) -> Measurement:
    """How many of the inputs a call writes into, while training and after it."""
    facts: tuple[dict[str, Any], ...] = ({"context": CONTEXT}, {"paired": True})
    told = [{}, *(one for one in facts if deafness(build, **one) is None)]
    changed: dict[str, None] = {}
    for one in told:
        network, inputs = fresh(build, **one)
        for is_training in (True, False):
            x, noise_label, cond = inputs
            known = {"x": x, "noise_label": noise_label, **cond.given()}
            before = {name: tensor.clone() for name, tensor in known.items()}
            with torch.no_grad():  # where autograd would refuse to
                network.train(is_training)(x, noise_label, cond)
            changed |= {name: None for name in known if not known[name].equal(before[name])}
    return Measurement(len(changed), 0, ", ".join(changed))


def layout(build: Build) -> Measurement:
    """How far the output moves when x, or x and the weights, lie otherwise in memory."""
    network, (x, noise_label, cond) = trained(build)
    y = network(x, noise_label, cond)
    axes = tuple(reversed(range(x.ndim)))
    backwards = x.permute(axes).contiguous().permute(axes)
    worst = share(network(backwards, noise_label, cond) - y, y)
    if x.ndim == 4:  # channels last is a layout of images
        network = network.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)
        worst = max(worst, share(network(x, noise_label, cond) - y, y))
    return Measurement(worst, ROUNDING)


def unread(build: Build) -> Measurement:
    """Zero if the network can be run on tensors that have no values; an error if it cannot."""
    network, (x, noise_label, cond) = trained(build)
    y = network.to("meta")(x.to("meta"), noise_label.to("meta"), cond.to("meta"))
    return Measurement(0 if y.shape == x.shape else float("inf"), 0)


@torch.random.fork_rng(devices=())
def outcome(build: Build, shape: tuple[int, ...]) -> str:
    """What comes of building for a shape: "built", "refused", or the error."""
    try:
        build(DataSpec(shape))
    except ConfigError:
        return "refused"
    except Exception as error:  # noqa: BLE001  # whatever a stranger's constructor raises
        return f"{len(shape)} axes from {shape[0]}: {type(error).__name__}: {error}"
    return "built"


def refusals(build: Build) -> Measurement:
    """How many shapes that do not fit fail in another way than by a ConfigError, and at once."""
    small = {axes: outcome(build, (2,) * axes) for axes in (1, 2, 4, 5)}
    huge = [outcome(build, (HUGE,) * n) for n, came in small.items() if came == "refused"]
    wrong = [came for came in (*small.values(), *huge) if came not in {"built", "refused"}]
    if not huge and not wrong:
        return Measurement(float("nan"), 0, "it takes data of any number of axes", measured=False)
    return Measurement(len(wrong), 0, wrong[0] if wrong else "")


BACKBONE_LAWS: tuple[Law[Build], ...] = (
    Law("a new network says zero", zero_at_first),
    Law("the output has the shape and the dtype of x", shape_and_dtype),
    Law("every parameter gets a gradient", gradients),
    Law("an example does not depend on its batch", independent),
    Law("the noise level matters", noise_level),
    Law("the class matters", classes),
    Law("a forgotten label is no label", forgotten),
    Law("context tokens that are there matter, and no others, or they are refused", context),
    Law("the image beside x matters, or is refused", image),
    Law("what it is given is not changed", given),
    Law("without training it repeats itself", repeatable),
    Law("the state is all there is", state),
    Law("bf16 autocast stays near float32", bf16),
    Law("how x lies in memory does not matter", layout),
    Law("no value is read on the way", unread),
    Law("data that do not fit are refused before anything is built", refusals),
)
