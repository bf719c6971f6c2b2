"""What only a constructor can refuse is in the same answer as every other mistake."""

from pathlib import Path

import pytest

PLUGIN = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_datasets():
    return [Component("pair", "diffx_pair.data:Pair", "For tests")]
"""

DATA = """
from attrs import frozen
import torch
from diffx_core import Batch, ConfigError, DataError, Dataset, DataSpec

@frozen(kw_only=True)
class Pair(Dataset):
    low: int = 0
    high: int = 8
    root: str = "here"
    spec = DataSpec((2,))

    def __attrs_post_init__(self):
        if self.low >= self.high:
            raise ConfigError(f"low ({self.low}) must be below high ({self.high})", "think again")
        if self.root != "here":
            raise DataError(f"{self.root}: there is no such folder")

    def __len__(self):
        return self.high - self.low

    def batch(self, index):
        return Batch(torch.zeros(len(index), 2))
"""

CROSSED_SCHEDULER = ("--scheduler", "vpsde", "--scheduler.beta_min", "30")
CROSSED_OBJECTIVE = ("--objective.weighting", "uniform", "--objective.gamma", "3")
CROSSED_DATASET = ("--dataset", "pair", "--dataset.low", "9")


@pytest.fixture
def pair(fake_distribution):
    """A dataset whose options have to agree."""
    return fake_distribution("diffx-pair", {"plugin": PLUGIN, "data": DATA})


def refused(result, rc=2):
    assert result.rc == rc
    assert not result.out
    assert list(Path.cwd().iterdir()) == []
    return [line.removeprefix("diffx: error: ") for line in result.err.splitlines()]


def test_everything_that_is_wrong_is_in_one_answer(diffx, pair):
    result = diffx(
        *("train", "--backbone", "mlp", "--train.steps", "0", "--nonsense", "1"),
        *(*CROSSED_SCHEDULER, *CROSSED_DATASET, *CROSSED_OBJECTIVE),
    )
    lines = refused(result)
    owners = [line.split(": ")[0] for line in lines]
    assert owners == [
        "--nonsense",
        "--objective.gamma",
        "--train.steps",
        "scheduler vpsde (diffx-schedulers 0.1.0)",
        "dataset pair (diffx-pair 1.0)",
        "dataset pair (diffx-pair 1.0)",
    ]
    assert "gamma" in lines[1]
    assert "beta_min" in lines[3]
    assert "low (9) must be below high (8)" in lines[4]


def test_a_sampler_is_built_before_the_run_is_looked_for(diffx):
    result = diffx("sample", "nowhere", "--sampler.eta", "2", "--guidance.scale", "-1")
    assert [line.split(": ")[0] for line in refused(result)] == [
        "--guidance.scale",
        "--sampler.eta",
    ]


def test_data_that_are_missing_have_an_exit_code_of_their_own(diffx, pair):
    arguments = ("train", "--backbone", "mlp", "--dataset", "pair", "--dataset.root", "there")
    assert refused(diffx(*arguments), rc=4) == ["there: there is no such folder"]
    assert len(refused(diffx(*arguments, "--train.steps", "0"))) == 2


REFUSED = {
    "scheduler": (CROSSED_SCHEDULER, "scheduler vpsde (diffx-schedulers 0.1.0): "),
    "backbone": (
        ("--backbone", "dit", "--backbone.width", "30"),
        "backbone dit (diffx-backbones 0.1.0) cannot take dataset digits (diffx-datasets 0.1.0): ",
    ),
    "data": (
        ("--backbone", "unet", "--dataset", "toy2d"),
        "backbone unet (diffx-backbones 0.1.0) cannot take dataset toy2d (diffx-datasets 0.1.0): ",
    ),
    "objective": (
        ("--scheduler", "ddpm", "--objective.times", "discrete", "--objective.times_levels", "9"),
        "times_levels",
    ),
}


@pytest.mark.parametrize("flags", [[], ["--dry-run"]], ids=["run", "dry run"])
@pytest.mark.parametrize(("arguments", "beginning"), REFUSED.values(), ids=REFUSED)
def test_what_a_constructor_refuses_is_refused_in_a_dry_run(diffx, arguments, beginning, flags):
    (line,) = refused(diffx("train", *arguments, *flags))
    assert line.startswith(beginning)
