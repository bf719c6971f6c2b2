"""Any number of processes learns the same from the same batches."""

import pytest
import torch

from diffx_core.engine.ranks import Ranks
from ranked import values
from subjects import STEPS, Points, train, train_by_nccl, train_each, train_narrow

VARIANTS = {
    "plain": {},
    "uneven shares": {"batch_size": 7},
    "accumulation": {"batch_size": 11, "micro_batch": 2},
    "adaptive times": {"objective": {"times": "adaptive"}},
    "uncertainty": {"objective": {"uncertainty": True}},
    "what fits": {"auto_micro_batch": True},
    "other weights at first": {"astray": True, "ema": {"decay": 0.9}},
    "held out": {"validate": {"every": 2, "examples": 3}},
    "workers": {"dataset": Points(streams=True), "workers": 2},
}


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)])
def found(request):
    return values(request.param, train_each, VARIANTS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_losses_are_the_same_however_many_processes_there_are(found, variant):
    alone, weights, average = train(Ranks(), options=VARIANTS[variant])
    for one in found:
        heard, mine, averaged = one[variant]
        # sums of float32 in another order
        assert heard.losses == pytest.approx(alone.losses, rel=1e-5)
        assert heard.norms == pytest.approx(alone.norms, rel=1e-4)
        assert heard.looks == pytest.approx(alone.looks, rel=1e-5)
        assert len(heard.losses) == STEPS
        torch.testing.assert_close(mine, weights, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(averaged, average, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_all_processes_hold_the_same_weights(found, variant):
    (first, weights, average), *others = (one[variant] for one in found)
    for heard, mine, averaged in others:
        assert heard == first
        assert all(torch.equal(value, weights[name]) for name, value in mine.items())
        assert all(torch.equal(value, average[name]) for name, value in averaged.items())


@pytest.mark.parametrize("rooms", [(1, 4), (4, 1)])
def test_what_fits_is_found_where_one_process_has_less_memory(rooms):
    alone, *_ = train(Ranks())
    for losses in values(2, train_narrow, rooms):
        assert losses == pytest.approx(alone.losses, rel=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_accelerators_learn_what_one_process_learns():
    alone, *_ = train(Ranks())
    found = values(min(2, torch.cuda.device_count()), train_by_nccl, timeout=None)
    for losses in found:
        assert losses == pytest.approx(alone.losses, rel=1e-4)
