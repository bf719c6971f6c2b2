"""What examples are told: dropped, forgotten, doubled, moved."""

import pytest
import torch

from diffx_core import (
    NO_LABEL,
    PREDICTIONS,
    Batch,
    ClassifierFreeGuidance,
    Condition,
    ConfigError,
    DataSpec,
    Extrapolation,
    NetworkDenoiser,
    Objective,
    ObjectiveOptions,
)
from diffx_core.dataset import spec_to_json
from diffx_core.testing.oracle import ReferenceVP


@pytest.fixture
def cond():
    return Condition(
        label=torch.tensor([0, 1]),
        context=torch.arange(12.0).view(2, 3, 2),
        mask=torch.tensor([[True, True, False], [True, False, False]]),
    )


def test_dropped_examples_have_no_label_and_no_tokens(cond):
    dropped = cond.dropped(torch.tensor([False, True]))
    assert dropped.label.tolist() == [0, NO_LABEL]
    assert dropped.mask.tolist() == [[True, True, False], [False, False, False]]
    assert torch.equal(dropped.context, cond.context)


def test_a_context_without_a_label_can_be_dropped_too():
    cond = Condition(context=torch.zeros(2, 3, 4))
    assert cond.mask.all()
    assert cond.can_be_forgotten
    assert cond.dropped(torch.tensor([True, False])).mask.any(1).tolist() == [False, True]
    assert not Condition(image=torch.zeros(2, 1)).can_be_forgotten


def test_no_mask_means_that_all_tokens_are_there():
    cond = Condition(context=torch.zeros(2, 3, 4), mask=None)
    assert torch.equal(cond.mask, torch.ones(2, 3, dtype=torch.bool))
    assert cond.forgotten().mask.sum() == 0


@pytest.mark.parametrize(
    ("context", "mask", "message"),
    [
        (torch.zeros(2, 3), None, r"context must be \(B, L, D\), got \(2, 3\)"),
        (torch.zeros(2, 3, 4), torch.ones(2, 4).bool(), r"mask must be bool \(2, 3\), .*\(2, 4\)"),
        (torch.zeros(2, 3, 4), torch.ones(2, 3), r"mask must be bool .* got torch.float32"),
        (None, torch.ones(2, 3).bool(), "has a mask and no context"),
    ],
    ids=["context", "mask", "kind", "alone"],
)
def test_a_context_or_a_mask_of_another_shape_is_refused(context, mask, message):
    with pytest.raises(ConfigError, match=message):
        Condition(context=context, mask=mask)


def test_a_doubled_batch_is_told_first_and_then_forgotten(cond):
    both = cond.with_forgotten()
    assert both.label.tolist() == [0, 1, NO_LABEL, NO_LABEL]
    assert torch.equal(both.context, torch.cat([cond.context, cond.context]))
    assert torch.equal(both.mask, torch.cat([cond.mask, torch.zeros_like(cond.mask)]))


def test_everything_moves(cond):
    moved = cond.to("meta")
    assert {one.device.type for one in moved.given().values()} == {"meta"}
    assert list(moved.given()) == ["label", "context", "mask"]


def test_the_width_of_tokens_is_a_fact_that_a_run_keeps():
    spec = DataSpec((2,), context=7)
    assert DataSpec(**spec_to_json(spec)) == spec
    with pytest.raises(ConfigError, match="context"):
        DataSpec((2,), context=0)


class Listener:
    """A network that remembers the masks that it was told."""

    def __init__(self):
        self.masks = []

    def __call__(self, x, noise_label, cond):
        self.masks.append(cond.mask)
        return x * cond.mask.any(1)[:, None]


@pytest.fixture
def model():
    return NetworkDenoiser(Listener(), ReferenceVP(), PREDICTIONS["edm"], 1.0)


def test_training_forgets_the_context_as_often_as_labels(model):
    batch = Batch(torch.randn(64, 2), Condition(context=torch.zeros(64, 3, 4)))
    Objective(ObjectiveOptions(label_dropout=0.5))(model, batch, step=0)
    assert 16 < model.backbone.masks[-1].any(1).sum() < 48


def test_guidance_leaves_out_a_context(model):
    cond = Condition(context=torch.zeros(2, 3, 4))
    ClassifierFreeGuidance(model, Extrapolation(2.0))(torch.randn(2, 2), 0.5, cond)
    assert model.backbone.masks[-1].any(1).tolist() == [True, True, False, False]
