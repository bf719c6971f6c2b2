"""Processes go on from a checkpoint, whoever made it, as if they had never stopped."""

import pytest
import torch

from diffx_core.engine.checkpoint import load_checkpoint
from diffx_core.engine.layout import place
from diffx_core.engine.ranks import Ranks
from ranked import ends, values
from subjects import MIDDLE, STEPS, share_another, train, train_and_go_on

OPTIONS = {
    "plain": {"batch_size": 7, "ema": {"every": 2}},
    "adaptive times": {"objective": {"times": "adaptive"}, "precision": "bf16"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_two_go_on_to_the_last_bit(tmp_path, options):
    for whole, resumed in values(2, train_and_go_on, tmp_path, options):
        assert whole[0].losses[MIDDLE:] == resumed[0].losses
    whole, resumed = (load_checkpoint(place(tmp_path / run, STEPS)) for run in ("whole", "resumed"))
    assert whole.progress == resumed.progress
    for part in ("weights", "ema", "training"):
        mine, others = getattr(whole, part), getattr(resumed, part)
        assert mine.keys() == others.keys()
        assert [name for name in mine if not torch.equal(mine[name], others[name])] == []


def test_processes_that_see_different_checkpoints_do_not_begin(tmp_path):
    train(Ranks(), tmp_path)
    found = ends(2, share_another, place(tmp_path, MIDDLE), place(tmp_path, STEPS))
    assert [one.code for one in found] == [5, 5]
    assert all("do not have the same checkpoint" in one.text for one in found)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_any_number_goes_on_from_what_any_number_saved(tmp_path, before, after):
    options = OPTIONS["adaptive times"] | {"precision": "fp32", "batch_size": 8}

    def several(number, *args):
        return train(Ranks(), *args) if number == 1 else values(number, train, *args)[0]

    whole = several(before, tmp_path / "whole", None, options)
    start = place(tmp_path / "whole", MIDDLE)
    resumed = several(after, tmp_path / "resumed", start, options)
    assert resumed[0].losses == pytest.approx(whole[0].losses[MIDDLE:], rel=1e-5)
    torch.testing.assert_close(resumed[1], whole[1], rtol=1e-4, atol=1e-5)
