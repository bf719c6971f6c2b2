"""Processes that divide the network learn what those learn that do not."""

import pytest
import torch

from diffx_core.engine.checkpoint import load_checkpoint
from diffx_core.engine.layout import place
from diffx_core.engine.ranks import Ranks
from diffx_core.errors import ConfigError
from diffx_core.options import TrainOptions
from programs import fail, fill, run, terminate
from ranked import ends, values
from subjects import MIDDLE, STEPS, Blocks, train, train_each

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


@pytest.mark.slow
def test_compiled_networks_are_divided_too():
    found = values(2, train, None, None, sharded({"compile": True, "steps": 3}))
    alone, *_ = train(Ranks(), options=sharded({"steps": 3}))
    for heard, *_ in found:
        assert heard.losses == pytest.approx(alone.losses, rel=1e-5)


@pytest.mark.parametrize(("before", "after"), [(False, True), (True, False)])
def test_either_goes_on_from_what_the_other_saved(tmp_path, before, after):
    options = {"ema": {"every": 2}, "objective": {"uncertainty": True}}
    first, then = sharded(options, shard=before), sharded(options, shard=after)
    (whole, *_), _ = values(2, train, tmp_path / "whole", None, first)
    start = place(tmp_path / "whole", MIDDLE)
    (resumed, *_), _ = values(2, train, tmp_path / "resumed", start, then)
    assert resumed.losses == pytest.approx(whole.losses[MIDDLE:], rel=1e-5)
    one, other = (load_checkpoint(place(tmp_path / run, STEPS)) for run in ("whole", "resumed"))
    for part in ("weights", "ema", "training"):  # the names too
        torch.testing.assert_close(getattr(one, part), getattr(other, part), rtol=1e-4, atol=1e-5)
    assert one.progress.keys() == other.progress.keys()
    assert one.progress["optimizers"] == other.progress["optimizers"]


IMAGES = ["--dataset", "digits", "--backbone", "dit", "--backbone.width", "16"]
SMALL = ["--train.batch_size", "5", "--train.steps", "4", "--train.shard", "--train.log_every", "1"]
SHOWS = ["--preview.every", "2", "--preview.n", "2", "--preview.nfe", "2"]
LOOKS = ["--validate.every", "2", "--validate.examples", "5", "--ema.kind", "power"]
COMMAND = ["train", *IMAGES, *SMALL, "--device", "cpu", "--out", "run"]


@pytest.mark.parametrize(
    ("rank", "moment", "happen", "code", "complaint", "options"),
    [
        (1, "step", fail, 1, "RuntimeError: no such product", []),
        (0, "save", fill, 5, "No space left on device", []),
        (1, "preview", terminate, 143, "stopped by SIGTERM", SHOWS),
        (None, None, None, 0, "", [*SHOWS, *LOOKS]),
    ],
)
def test_all_end_as_if_they_did_not_divide(
    tmp_path, rank, moment, happen, code, complaint, options
):
    found = values(2, run, [*COMMAND, *options], tmp_path, rank, moment, happen, timeout=None)
    assert [one for one, *_ in found] == [code, code]
    said = [complained for *_, complained in found if "diffx: error:" in complained]
    assert len(said) == bool(complaint)
    assert all(complaint in one for one in said)
    if not code:
        names = [*(tmp_path / "run").glob("samples/*"), *(tmp_path / "run").glob("averages/*.json")]
        assert sorted(one.name for one in names) == [
            *("step-00000002.png", "step-00000004-0.050.json", "step-00000004-0.100.json"),
            "step-00000004.png",
        ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimizer", "muon"),
        ("channels_last", True),
        ("auto_micro_batch", True),
    ],
)
def test_what_wants_whole_weights_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"shard does not go with {name}"):
        TrainOptions(shard=True, **{name: value})


def test_parts_that_some_have_more_of_are_refused():
    found = ends(2, train, None, None, sharded({"batch_size": 5, "micro_batch": 2}))
    assert [one.code for one in found] == [2, 2]
    assert all("one part more on some" in one.text for one in found)
