"""The contestants of the benchmark of training do the same work, and the script times them all."""

import sys
from functools import cache
from types import SimpleNamespace

import pytest
import torch

import training
from contestants import CONTESTANTS, Contestant
from contestants import work as counted
from training import PEAK, Training, own_memory, product, timed

pytestmark = pytest.mark.filterwarnings("ignore")  # those of other libraries are not ours


@cache
def work(name):
    (contestant,) = [one for one in CONTESTANTS if one.name == name]
    if not contestant.is_there:
        pytest.skip(f"{contestant.library} is in the dependency group bench")
    return counted(contestant)


def test_dit_is_as_large_as_published_and_does_the_same_work():
    assert work("diffx dit").parameters == work("DiT as published").parameters
    assert work("diffx dit").flop == work("DiT as published").flop


def test_the_dit_of_diffusers_does_nearly_the_same_work():
    theirs = work("diffusers DiTTransformer2DModel")
    assert theirs.flop == pytest.approx(work("diffx dit").flop, rel=0.02)


def test_the_published_unet_is_that_of_diffusers():
    theirs = work("diffusers UNet2DModel")
    assert theirs == work("diffx ddpm_unet")


@pytest.mark.parametrize("name", ["diffx unet", "denoising-diffusion-pytorch Unet"])
def test_other_unets_come_within_a_tenth(name):
    found, wanted = work(name), work("diffx ddpm_unet")
    assert found.flop == pytest.approx(wanted.flop, rel=0.1)
    assert found.parameters == pytest.approx(wanted.parameters, rel=0.1)


SMALL = [
    Contestant(
        "line",
        name,
        lambda: torch.nn.Linear(32, 32),
        lambda network, x, t, y: network(x),
    )
    for name in ("one", "two")
]


def test_a_contestant_that_is_not_installed_has_a_row_that_says_so(monkeypatch, capsys):
    gone = SMALL[0]._replace(name="three", library="no_such_library")
    monkeypatch.setattr(training, "CONTESTANTS", [*SMALL, gone])
    monkeypatch.setattr(training, "most_memory", lambda *asked: 1.0)
    monkeypatch.setattr(sys, "argv", ["training.py", "--rounds", "1", "--dtype", "float32"])
    options = training.arguments()
    options.race = "line"
    training.report(options)
    header, _, *rows = [line for line in capsys.readouterr().out.splitlines() if line[:1] == "|"]
    assert [row.split(" | ")[0] for row in rows] == ["| one", "| two", "| three"]
    assert "no_such_library is not installed" in rows[-1]
    assert {row.count("|") for row in rows} == {header.count("|")}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_turns_are_taken_and_each_is_timed(dtype):
    trainings = [Training(one, 2, torch.device("cpu")) for one in SMALL]
    before = [one.network.weight.clone() for one in trainings]
    seconds, peak = timed(trainings, dtype, rounds=3)
    assert set(seconds) == {"one", "two"}
    assert min(*seconds.values(), peak) > 0
    assert not any(map(torch.equal, before, (one.network.weight for one in trainings)))


def test_a_peak_is_some_number_of_operations():
    assert product(torch.float32, torch.device("cpu")) > 1e6


def test_memory_is_asked_of_a_process_that_gives_back_what_it_frees(monkeypatch):
    asked = []

    def run(command, *, env, **options):
        asked.append((command, env))
        return SimpleNamespace(stdout="a line of a library\n12.5\n")

    monkeypatch.setattr(training.subprocess, "run", run)
    options = SimpleNamespace(batch=2, device="cpu")
    assert training.most_memory(SMALL[0], "bf16", options) == 12.5
    ((command, env),) = asked
    assert "one" in command
    assert env["MALLOC_TRIM_THRESHOLD_"] == env["MALLOC_MMAP_THRESHOLD_"] == "65536"


@pytest.mark.skipif(not PEAK.exists(), reason="asks Linux for the peak of a process")
def test_memory_is_at_least_that_of_the_weights():
    # Four times in truth, less what the system takes back of the libraries' pages meanwhile.
    taken = own_memory("DiT as published", torch.float32, 2, torch.device("cpu"))
    weights = 4 * work("DiT as published").parameters / 2**20
    assert weights < taken < 100 * weights
