"""Processes that divide the network learn what those learn that do not."""

import pytest
import torch

from diffx_core.engine.ranks import Ranks
from ranked import values
from subjects import STEPS, Blocks, train, train_each

VARIANTS = {
    "plain": {"ema": {"kind": "power"}},
    "uneven shares": {"batch_size": 7},
    "accumulation": {"batch_size": 12, "micro_batch": 2},
    "adaptive times": {"objective": {"times": "adaptive"}},
    "uncertainty": {"objective": {"uncertainty": True}},
    "held out": {"validate": {"every": 2, "examples": 3}},
}
HALVES = {name: {"precision": name} for name in ("bf16", "fp16")}


def sharded(options, *, shard=True):
    return {**options, "net": Blocks, "shard": shard}


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)])
def found(request):
    variants = {name: sharded(one) for name, one in (VARIANTS | HALVES).items()}
    copied = {f"copied {name}": sharded(one, shard=False) for name, one in HALVES.items()}
    return values(request.param, train_each, variants | copied)


@pytest.mark.parametrize("variant", VARIANTS)
def test_losses_are_those_of_one_process(found, variant):
    # one process by itself has nobody to share with
    same(found, variant, train(Ranks(), options=sharded(VARIANTS[variant])))


@pytest.mark.parametrize("variant", HALVES)
def test_losses_of_other_precisions_are_those_of_processes_that_do_not_divide(found, variant):
    same(found, variant, found[0][f"copied {variant}"])


def same(found, variant, wanted):
    for rank, one in enumerate(found):
        heard, *states = one[variant]
        # sums of float32 in another order
        assert heard.losses == pytest.approx(wanted[0].losses, rel=1e-5)
        assert heard.norms == pytest.approx(wanted[0].norms, rel=1e-4)
        assert heard.looks == pytest.approx(wanted[0].looks, rel=1e-5)
        assert STEPS - 1 <= len(heard.losses) <= STEPS  # float16 overflows once
        for state, other in zip(states, wanted[1:], strict=True):
            torch.testing.assert_close(state, {} if rank else other, rtol=1e-4, atol=1e-5)
