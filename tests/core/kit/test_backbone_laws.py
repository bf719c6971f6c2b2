"""The laws of networks find what they are there to find."""

from functools import partial

import pytest
import torch
from torch import nn

from diffx_core import NO_LABEL, Condition, ConfigError, DataSpec
from diffx_core.testing import BACKBONE_LAWS
from diffx_core.testing.subjects import fitting

LAWS = {law.name: law for law in BACKBONE_LAWS}


class Small(nn.Module):
    """Two layers on a vector, and a way to go wrong."""

    def __init__(self, spec: DataSpec, *, bug: str = "", axes: int = 1):
        if len(spec.shape) != axes and bug not in {"late", "other"}:
            raise ConfigError(f"small needs vectors, got {spec.shape}")
        if bug == "other" and len(spec.shape) != axes:
            raise RuntimeError("no")
        super().__init__()
        size, width = spec.shape[0], 8
        self.bug = bug
        if spec.paired and bug == "image-refused":
            raise ConfigError("small reads no images beside x")
        self.reads = spec.paired and bug != "image-deaf"
        self.hidden = nn.Linear(size * (1 + self.reads), width)
        self.noise = nn.Linear(1, width)
        known = spec.num_classes
        self.classes = None if known is None else nn.Embedding(known + 1, width)
        if bug == "late" and len(spec.shape) != axes:
            raise ConfigError("too late")
        if spec.context is not None and bug == "context-refused":
            raise ConfigError("small reads no context tokens")
        reads = spec.context is not None and bug != "context-deaf"
        self.tokens = nn.Linear(spec.context, width) if reads else None
        self.out = nn.Linear(width, size)
        nn.init.zeros_(self.out.weight)
        nn.init.constant_(self.out.bias, bug == "loud")
        self.forgets = nn.Parameter(torch.ones(3)) if bug == "idle" else None
        if bug == "state":
            self.register_buffer("direction", torch.randn(width), persistent=False)
        if bug == "dead":
            self.dead = nn.Linear(size, width)

    def _write(self, x, noise_label, cond):
        match self.bug:
            case "x":
                x.clamp_(-1, 1)
            case "noise_label" if self.training:
                noise_label.clamp_(0, 500)
            case "context" if cond.context is not None:
                cond.context.mul_(cond.mask[..., None])

    def _hidden_state(self, h, noise_label):
        match self.bug:
            case "remembered":
                self.first = getattr(self, "first", noise_label.mean())
                return self.first / 1000
            case "seeded":
                torch.manual_seed(0)
            case "dropout":
                return torch.rand_like(h)
        return 0

    def forward(self, x, noise_label, cond: Condition):
        if self.bug == "reads" and float(x.sum()) == 0.5:
            return x
        self._write(x, noise_label, cond)
        if self.bug == "layout":
            x = x.as_strided(x.shape, (x.shape[1], 1))
        told = torch.zeros_like(noise_label) if self.bug == "deaf" else noise_label / 1000
        read = torch.cat([x, cond.image], dim=1) if self.reads else x
        h = self.hidden(read) + self.noise(told[:, None].to(x.dtype))
        if self.classes is not None and self.bug != "blind":
            none = torch.full(x.shape[:1], NO_LABEL, device=x.device)
            label = none if cond.label is None else cond.label
            if self.bug == "first" and cond.label is None:
                label = none + 1
            h = h + self.classes(label - NO_LABEL)
        if self.tokens is not None and cond.context is not None:
            there = torch.ones_like(cond.mask) if self.bug == "context-leak" else cond.mask
            told = self.tokens(cond.context) * there[..., None]
            h = h + (told.sum(1) if self.bug != "context-first" else told[:, 0])
        elif self.tokens is not None:
            h = h + 0 * sum(p.sum() for p in self.tokens.parameters())
        if self.bug == "dead":
            h = h + 0 * self.dead(x)
        if self.bug == "batch":
            h = h - h.mean(0)
        if self.bug == "state":
            h = h + self.direction
        h = h + self._hidden_state(h, noise_label)
        y = self.out(torch.tanh(h))
        if self.bug == "coarse":
            return y + y.abs().max() * (x.dtype == torch.float32) * torch.is_autocast_enabled("cpu")
        if self.bug == "dtype":
            return y.float()
        return y[:, None] if self.bug == "shape" else y


def test_a_lawful_network_breaks_none():
    assert all(law.check(Small).measured for law in BACKBONE_LAWS)


WRONG = [
    ("loud", "a new network says zero"),
    ("dtype", "the output has the shape and the dtype of x"),
    ("shape", "the output has the shape and the dtype of x"),
    ("idle", "every parameter gets a gradient"),
    ("dead", "every parameter gets a gradient"),
    ("batch", "an example does not depend on its batch"),
    ("deaf", "the noise level matters"),
    ("blind", "the class matters"),
    ("first", "a forgotten label is no label"),
    ("context-deaf", "context tokens that are there matter"),
    ("context-first", "context tokens that are there matter"),
    ("context-leak", "context tokens that are there matter"),
    ("image-deaf", "the image beside x matters"),
    ("x", "what it is given is not changed"),
    ("noise_label", "what it is given is not changed"),
    ("context", "what it is given is not changed"),
    ("dropout", "without training it repeats itself"),
    ("seeded", "without training it repeats itself"),
    ("state", "the state is all there is"),
    ("remembered", "the state is all there is"),
    ("coarse", "bf16 autocast stays near float32"),
    ("layout", "how x lies in memory does not matter"),
    ("late", "data that do not fit are refused before anything is built"),
    ("other", "data that do not fit are refused before anything is built"),
]


@pytest.mark.parametrize(("bug", "law"), WRONG)
def test_a_network_that_goes_wrong_is_found(bug, law):
    if bug == "other":
        build = partial(Small, bug=bug)
        found = LAWS[law].measure(build)
        assert (found.holds, found.figure) == (False, 3)
        return
    (found,) = [one for name, one in LAWS.items() if name.startswith(law)]
    with pytest.raises(AssertionError, match=law):
        found.check(partial(Small, bug=bug))


def test_every_law_finds_a_fault():
    shown_below = "no value is read on the way"
    found = [law for _, law in WRONG] + [shown_below]
    assert [name for name in LAWS if not any(name.startswith(one) for one in found)] == []


def test_a_network_may_refuse_context_tokens():
    (law,) = [one for name, one in LAWS.items() if name.startswith("context tokens")]
    found = law.measure(partial(Small, bug="context-refused"))
    assert (found.measured, found.detail) == (False, "small reads no context tokens")


def test_a_network_may_refuse_pairs():
    found = LAWS["the image beside x matters, or is refused"].measure(
        partial(Small, bug="image-refused")
    )
    assert (found.measured, found.detail) == (False, "small reads no images beside x")


def test_a_value_that_is_read_is_an_error_of_the_tensor():
    with pytest.raises(RuntimeError):
        LAWS["no value is read on the way"].check(partial(Small, bug="reads"))


def test_the_class_is_named_when_a_law_does_not_hold():
    def loud(spec):
        return Small(spec, bug="loud")

    with pytest.raises(AssertionError, match="loud: a new network says zero: 1 > 0"):
        LAWS["a new network says zero"].check(loud)


def test_the_smallest_data_that_fit_are_taken():
    assert fitting(Small).shape == (5,)


def test_a_network_that_takes_nothing_says_why():
    with pytest.raises(ConfigError) as refused:
        fitting(partial(Small, axes=9))
    assert "(2, 64, 64): small needs vectors, got (2, 64, 64)" in str(refused.value)


def test_building_leaves_the_callers_generator_alone():
    before = torch.get_rng_state()
    LAWS["a new network says zero"].check(Small)
    assert torch.equal(torch.get_rng_state(), before)
