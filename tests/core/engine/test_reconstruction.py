"""Averages of any length, made afterwards, are what would have been kept during training."""

import copy
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from diffx_core.engine.averaging import Power, reconstruct
from diffx_core.engine.averaging.profile import Profile, exponent, fit
from diffx_core.errors import CheckpointError, ConfigError

STEPS = 400
EPS = torch.finfo(torch.float32).eps


def training(folder, steps=STEPS, every=20, widths=(0.05, 0.10)):
    """Drifting weights with noise, some that stay, and a buffer that counts; returns the path."""
    net = nn.BatchNorm1d(5)
    torch.nn.init.ones_(net.bias)
    average = Power(net, widths, snapshot_every=every)
    random, path = torch.Generator().manual_seed(0), []
    for step in range(1, steps + 1):
        with torch.no_grad():
            net.weight.copy_((step / steps) ** 0.5 + 0.1 * torch.randn(5, generator=random))
            net.running_mean.fill_(step)
        average.update(step)
        average.snapshot(folder, step, last=step == steps)
        path.append(net.weight.detach().double())
    return torch.stack(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return folder, training(folder)


def brute_force(path, gamma):
    """The power average of a path of weights that stay as they are until the next step."""
    ends = (torch.arange(len(path) + 1, dtype=torch.float64) / len(path)) ** (gamma + 1)
    return ends.diff() @ path


def bound(found, path, gamma):
    """By Cauchy and Schwarz, ours and what single precision adds to it.

    The difference is the integral of (p - q) (theta - c) for any c, as p and q both have integral
    one. Every update rounds, and no snapshot counts more than a few times.
    """
    length = Profile(len(path), gamma).dot(Profile(len(path), gamma)) ** 0.5
    spread = (path - path.mean(0)).square().sum(0).sqrt()
    return found.error * length * spread + 20 * len(path) * EPS


@pytest.mark.parametrize("step", [STEPS, 200], ids="step {}".format)
@pytest.mark.parametrize("sigma_rel", [0.03, 0.05, 0.07, 0.10, 0.15, 0.25], ids=str)
def test_a_reconstruction_is_the_average_of_the_path(trained, sigma_rel, step):
    folder, path = trained
    found, gamma = reconstruct(folder, sigma_rel, step), exponent(sigma_rel)
    wrong = (found.state["weight"].double() - brute_force(path[:step], gamma)).abs()
    assert (wrong <= bound(found, path[:step], gamma)).all()
    assert found.error < 0.15  # so the bound says something, even of ten snapshots


@pytest.mark.parametrize("sigma_rel", [0.05, 0.10])
def test_a_width_that_was_kept_comes_out_as_it_was(trained, sigma_rel):
    folder, path = trained
    found = reconstruct(folder, sigma_rel)
    assert found.error < 1e-6
    kept = brute_force(path, exponent(sigma_rel))
    assert torch.allclose(found.state["weight"].double(), kept, atol=1e-5)


def test_the_kept_widths_are_further_from_others_than_the_reconstruction(trained):
    folder, path = trained
    wanted = brute_force(path, exponent(0.07))
    kept = [brute_force(path, exponent(one)) for one in (0.05, 0.10)]
    wrong = (reconstruct(folder, 0.07).state["weight"] - wanted).abs().max()
    assert 50 * wrong < min((one - wanted).abs().max() for one in kept)


def test_what_never_changes_comes_out_as_it_is(trained):
    # Weights of up to 2 that add up to one, in double precision.
    state = reconstruct(trained[0], 0.25).state
    assert torch.equal(state["bias"], torch.ones(5))


def test_buffers_are_those_of_the_step(trained):
    for step in (200, STEPS):
        state = reconstruct(trained[0], 0.07, step).state
        assert torch.equal(state["running_mean"], torch.full((5,), float(step)))
        assert state["num_batches_tracked"].dtype == torch.int64


def test_a_reconstruction_uses_no_later_snapshot(trained, tmp_path):
    training(tmp_path, steps=200)
    found, short = reconstruct(trained[0], 0.07, 200), reconstruct(tmp_path, 0.07)
    assert found.snapshots == short.snapshots == 20
    assert found.step == short.step == 200


@pytest.mark.parametrize("gamma", [0.1, 1.0, 6.94, 16.97])
def test_the_width_of_a_profile_is_its_standard_deviation(gamma):
    mean, square = (gamma + 1) / (gamma + 2), (gamma + 1) / (gamma + 3)
    assert exponent((square - mean**2) ** 0.5) == pytest.approx(gamma, rel=1e-6)


def test_the_published_exponents():
    # Karras et al. 2024: sigma_rel 0.05 and 0.10 are gamma 16.97 and 6.94.
    assert [round(exponent(one), 2) for one in (0.05, 0.10)] == [16.97, 6.94]


def test_products_of_profiles_are_their_integrals():
    one, other = Profile(300, 6.94), Profile(500, 16.97)
    t = (np.arange(3_000_000) + 0.5) / 10_000
    values = [(p.gamma + 1) * (t / p.step) ** p.gamma / p.step for p in (one, other)]
    integral = (values[0] * values[1]).sum() / 10_000  # the profile of 300 steps ends there
    assert one.dot(other) == other.dot(one) == pytest.approx(integral, rel=1e-6)


def test_weights_of_a_fit_add_up_to_one_however_alike_its_profiles():
    profiles = [Profile(n, exponent(s)) for n in range(1000, 1100) for s in (0.1, 0.1001)]
    found = fit(profiles, Profile(1099, exponent(0.12)))
    assert found.weights.sum() == pytest.approx(1, abs=1e-9)
    assert np.isfinite(found.error)


def test_snapshots_are_made_when_they_are_due_and_after_the_last_step(tmp_path):
    training(tmp_path, steps=50, every=20)
    names = sorted(path.name for path in (tmp_path / "averages").iterdir())
    assert names == [
        f"step-{step:08d}-{width}.{kind}"
        for step in (20, 40, 50)
        for width in ("0.050", "0.100")
        for kind in ("json", "safetensors")
    ]


def steps_of(folder):
    return sorted({int(one.name.split("-")[1]) for one in (folder / "averages").iterdir()})


def test_what_training_left_behind_is_no_part_of_how_it_goes_on(tmp_path):
    net = nn.Linear(2, 2)
    average = Power(net, snapshot_every=20)
    for step in range(1, 71):
        if step == 31:
            saved = copy.deepcopy((average.state(), *average.memory()))
        average.update(step)
        average.snapshot(tmp_path, step, last=step in (35, 70))
    assert steps_of(tmp_path) == [20, 35, 40, 60, 70]
    (tmp_path / "averages" / ".partial-step-00000080-0.050.safetensors").touch()

    again = Power(net, snapshot_every=20)
    again.restore(*saved)
    for step in range(31, 51):
        again.update(step)
        again.snapshot(tmp_path, step)
    assert {one.name[0] for one in (tmp_path / "averages").iterdir()} == {"s"}
    assert steps_of(tmp_path) == [20, 40]


def test_an_average_that_has_not_moved_since_is_not_written_again(tmp_path):
    net = nn.Linear(2, 2)
    average = Power(net, (0.1,), snapshot_every=2)
    assert average.snapshot(tmp_path, 0, last=True) == ()
    for step in (1, 2):
        average.update(step)
    (path,) = average.snapshot(tmp_path, 2)
    assert average.snapshot(tmp_path, 2) == average.snapshot(tmp_path, 2, last=True) == ()
    assert path.stem == "step-00000002-0.100"


def test_a_snapshot_that_cannot_be_written_leaves_nothing_and_can_be_tried_again(tmp_path):
    average = Power(nn.Linear(2, 2), (0.1,), snapshot_every=1)
    average.update(1)
    (tmp_path / "averages").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot write"):
        average.snapshot(tmp_path, 1)
    (tmp_path / "averages").unlink()
    assert len(average.snapshot(tmp_path, 1)) == 1


def test_a_disk_that_is_full_costs_no_earlier_snapshot(tmp_path):
    program = """
import resource, sys
from pathlib import Path
from torch import nn
from diffx_core.engine.averaging import Power
from diffx_core.errors import CheckpointError

average = Power(nn.Linear(64, 64), (0.1,), snapshot_every=1)
average.update(1)
average.snapshot(Path(sys.argv[1]), 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
average.update(2)
try:
    average.snapshot(Path(sys.argv[1]), 2)
except CheckpointError as error:
    sys.exit(str(error))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert "cannot write" in done.stderr, done.stderr
    names = sorted(one.name for one in (tmp_path / "averages").iterdir())
    assert names == ["step-00000001-0.100.json", "step-00000001-0.100.safetensors"]
    assert reconstruct(tmp_path, 0.1).step == 1


def test_a_snapshot_is_replaced_by_a_repeated_one(tmp_path):
    training(tmp_path, steps=40)
    found = reconstruct(tmp_path, 0.07)
    training(tmp_path, steps=40)
    again = reconstruct(tmp_path, 0.07)
    assert again.snapshots == found.snapshots
    assert torch.equal(again.state["weight"], found.state["weight"])


def damaged(tmp_path):
    training(tmp_path, steps=40)
    return tmp_path / "averages" / "step-00000020-0.050.safetensors"


def test_a_flipped_byte_is_noticed(tmp_path):
    path = damaged(tmp_path)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="SHA-256"):
        reconstruct(tmp_path, 0.07)


def test_a_missing_file_is_noticed(tmp_path):
    damaged(tmp_path).unlink()
    with pytest.raises(CheckpointError, match="not a readable snapshot"):
        reconstruct(tmp_path, 0.07)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', "[" * 100_000], ids=len)
def test_a_damaged_description_is_noticed(tmp_path, text):
    damaged(tmp_path).with_suffix(".json").write_text(text)
    with pytest.raises(CheckpointError):
        reconstruct(tmp_path, 0.07)


def test_a_snapshot_without_description_is_not_there(tmp_path):
    damaged(tmp_path).with_suffix(".json").unlink()
    assert reconstruct(tmp_path, 0.07).snapshots == 3


def test_a_snapshot_of_another_model_is_noticed(tmp_path):
    path = damaged(tmp_path).with_suffix(".json")
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "buffers": [*facts["buffers"], "weight"]}))
    with pytest.raises(CheckpointError, match="another model"):
        reconstruct(tmp_path, 0.07)


def test_a_step_without_a_snapshot_is_refused_with_the_nearest(trained):
    with pytest.raises(ConfigError, match="nearest are 180, 200, 220"):
        reconstruct(trained[0], 0.07, 199)


@pytest.mark.parametrize("sigma_rel", [0.0, -0.1, 0.29, float("nan")])
def test_a_width_that_no_average_has_is_refused(trained, sigma_rel):
    with pytest.raises(ConfigError, match=r"0\.005 to 0\.28"):
        reconstruct(trained[0], sigma_rel)


def test_a_run_without_snapshots_is_told_how_to_get_some(tmp_path):
    with pytest.raises(CheckpointError, match=r"--ema\.kind power"):
        reconstruct(tmp_path, 0.07)
