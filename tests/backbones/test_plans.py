"""The plans of U-Nets: each block is given what the one before it makes, and each skip is read."""

from itertools import chain, pairwise

import pytest

from diffx_backbones.ddpm_plan import DDPMPlan
from diffx_backbones.embedding import Sinusoids
from diffx_backbones.unet_plan import Plan
from diffx_core import DataSpec

SPEC = DataSpec((3, 16, 16))
PLANS = {
    "plain": Plan(channels=8, mults=(1, 2, 3), blocks=2, attention=(1,)),
    "steps-apart": Plan(channels=8, mults=(1, 3, 2), blocks=1, sides=(4, 16), steps_apart=True),
    "one-level": Plan(channels=8, mults=(2,), blocks=3),
}
DDPM = DDPMPlan(
    channels=(8, 24, 16),
    blocks=2,
    attention=(0, 2),
    heads=1,
    head_width=4,
    middle_attention=True,
    norm_groups=4,
    norm_eps=1e-5,
    sinusoids=Sinusoids(8),
)


APART = [PLANS["steps-apart"], PLANS["one-level"]]


@pytest.fixture(params=PLANS.values(), ids=PLANS)
def plan(request):
    return request.param


def made_alike(stages):
    return all(one.channels == after.before for one, after in pairwise(stages))


def test_each_block_is_given_what_the_one_before_it_makes(plan):
    down = plan.way_down(SPEC)
    assert made_alike(down + plan.mirrored(SPEC))
    assert down[0].before == plan.channels


def test_a_mirror_undoes_its_block(plan):
    pairs = zip(reversed(plan.way_down(SPEC)), plan.mirrored(SPEC), strict=True)
    for down, up in pairs:
        assert (up.before, up.channels, up.reads) == (down.channels, down.before, down.channels)
        assert (up.is_step, up.heads > 0) == (down.is_step, down.heads > 0)


@pytest.mark.parametrize("plan", APART)
def test_on_a_way_up_of_its_own_each_skip_is_read_once(plan):
    assert made_alike(plan.way_down(SPEC) + plan.way_up(SPEC))
    made = [plan.channels, *(one.channels for one in plan.way_down(SPEC))]
    assert [one.reads for one in plan.way_up(SPEC) if one.reads] == made[::-1]


def test_a_published_unet_reads_each_block_and_each_step_once():
    down, up = DDPM.way_down(), DDPM.way_up()
    made = [8, 8, 8, 8, 24, 24, 24, 16, 16]  # the stem; then two blocks and a step, by levels
    assert [one.reads for one in chain(*up)] == made[::-1]
    assert all(made_alike(level) for level in down + up)
    assert [level[0].before for level in down] == [8, 8, 24]
    assert [level[0].before for level in up] == [16, 16, 24]


def test_heads_are_where_attention_was_asked_for():
    assert [[one.heads for one in level] for level in DDPM.way_down()] == [[2, 2], [0, 0], [4, 4]]
    assert DDPM.middle().heads == 4
