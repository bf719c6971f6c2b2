"""`diffx ema` makes a model of a run with an average of another length."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from diffx_core.config.run import Run, SavedComponent
from diffx_core.dataset import spec_to_json
from diffx_core.engine.averaging import Power, reconstruct
from diffx_core.engine.averaging.profile import exponent
from diffx_core.engine.checkpoint import load_checkpoint
from diffx_core.engine.saving import Snapshot, save_checkpoint
from diffx_core.plugins import Registry

STEPS = 100
SMALL = {"width": 16, "depth": 1, "octaves": 0}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A run with snapshots, and the last layer's weights at every step."""
    registry, folder = Registry.load({}), tmp_path_factory.mktemp("runs") / "00003-power"
    found = {
        "scheduler": (registry.find("scheduler", "vpsde"), {}),
        "backbone": (registry.find("backbone", "mlp"), SMALL),
        "dataset": (registry.find("dataset", "toy2d"), {"kind": "moons", "points": 64}),
    }
    spec = found["dataset"][0].load()(kind="moons", points=64).spec
    torch.manual_seed(0)
    network = found["backbone"][0].load()(spec, **SMALL)
    average, path = Power(network, snapshot_every=5), []
    for step in range(1, STEPS + 1):
        with torch.no_grad():
            for p in network.parameters():
                p.add_(torch.randn_like(p), alpha=0.05)
        average.update(step)
        average.snapshot(folder, step)
        path.append([p.detach().clone().double() for p in network.parameters()])
    run = Run(
        components={kind: SavedComponent.of(*pair) for kind, pair in found.items()},
        sections={
            "objective": {"prediction": "edm", "label_dropout": 0.1},
            "ema": {"kind": "power", "sigma_rel": [0.05, 0.1]},
        },
        spec=spec_to_json(spec),
    )
    state, weights = average.state(), network.state_dict()
    save_checkpoint(folder, Snapshot(step=STEPS, weights=weights, ema=state, record=run.to_json()))
    return folder, [name for name, _ in network.named_parameters()], path


@pytest.fixture
def run(original, tmp_path):
    return Path(shutil.copytree(original[0], tmp_path / "00003-power"))


def test_the_model_has_the_average_of_that_width(diffx, run, original):
    result = diffx("ema", str(run), "--sigma-rel", "0.07", "--out", "longer")
    assert result.rc == 0, result.err
    found = load_checkpoint(Path("longer"))
    assert found.step == STEPS
    _, names, path = original
    ends = (torch.arange(STEPS + 1, dtype=torch.float64) / STEPS) ** (exponent(0.07) + 1)
    error = reconstruct(run, 0.07).error
    for i, name in enumerate(names):
        steps = torch.stack([one[i] for one in path])
        wanted = torch.einsum("n,n...->...", ends.diff(), steps)
        # By Cauchy and Schwarz: the length of this profile times the spread of the weights.
        length = ((exponent(0.07) + 1) ** 2 / (2 * exponent(0.07) + 1) / STEPS) ** 0.5
        spread = (steps - steps.mean(0)).square().sum(0).sqrt()
        wrong = (found.ema[name].double() - wanted).abs()
        assert (wrong <= error * length * spread + 1e-5).all()
        assert torch.equal(found.weights[name], found.ema[name])


def test_it_is_sampled_like_any_run(diffx, run):
    assert diffx("ema", str(run), "--sigma-rel", "0.07").rc == 0
    (folder,) = Path("runs").iterdir()
    assert folder.name == "00000-power-ema-0.07"
    assert {one.name for one in folder.iterdir()} == {
        *("config.yaml", "env.json", "checkpoints", "latest")
    }
    result = diffx("sample", "--n", "4", "--nfe", "4")
    assert result.rc == 0, result.err
    assert len(list((folder / "samples").iterdir())) == 1


def test_an_earlier_step_can_be_the_last(diffx, run):
    assert diffx("ema", str(run), "--sigma-rel", "0.1", "--step", "50", "--out", "short").rc == 0
    found = load_checkpoint(Path("short"))
    kept = reconstruct(run, 0.1, 50).state
    assert found.step == 50
    assert all(torch.equal(found.ema[name], value) for name, value in kept.items())


def test_it_can_guide_the_run_that_it_is_of(diffx, run):
    assert diffx("ema", str(run), "--sigma-rel", "0.2", "--out", "longer").rc == 0
    guided = ["--guidance.scale", "2", "--guidance.against", "longer", "--n", "2", "--nfe", "4"]
    result = diffx("sample", str(run), *guided)
    assert result.rc == 0, result.err


def test_the_record_says_what_was_made_of_what(diffx, run):
    result = diffx("ema", str(run), "--sigma-rel", "0.07", "--out", "longer", "--json")
    said = json.loads(result.out)
    assert said.pop("run") == "longer"
    made = json.loads(Path("longer/env.json").read_text())["average"]
    assert made == {"of": str(run), **said}
    assert (said["step"], said["sigma_rel"], said["snapshots"]) == (STEPS, 0.07, 40)
    section = Run.from_json(load_checkpoint(Path("longer")).record).sections["ema"]
    assert section == {"kind": "power", "sigma_rel": [0.07]}


def test_a_dry_run_writes_nothing(diffx, run):
    result = diffx("ema", str(run), "--sigma-rel", "0.07", "--dry-run")
    assert result.rc == 0
    assert "of 40 snapshots" in result.out
    assert os.listdir() == []  # noqa: PTH208  # a name is all that is wanted


@pytest.mark.parametrize(
    ("flags", "rc", "said"),
    [
        (["--sigma-rel", "0.4"], 2, "must be from 0.005 to 0.28"),
        ([], 2, "--sigma-rel: is required"),
        (["--sigma-rel", "0.07", "--step", "7"], 2, "nearest are"),
    ],
    ids=["too wide", "no width", "no snapshot"],
)
def test_what_cannot_be_made_is_refused(diffx, run, flags, rc, said):
    result = diffx("ema", str(run), *flags)
    assert result.rc == rc
    assert said in result.err
    assert os.listdir() == []  # noqa: PTH208


def test_a_damaged_snapshot_is_refused_and_leaves_nothing(diffx, run):
    (run / "averages/step-00000050-0.050.safetensors").write_bytes(b"")
    result = diffx("ema", str(run), "--sigma-rel", "0.07")
    assert result.rc == 5
    assert "damaged" in result.err
    assert os.listdir() == []  # noqa: PTH208


def test_a_run_without_snapshots_is_told_how_to_get_some(diffx, run):
    shutil.rmtree(run / "averages")
    result = diffx("ema", str(run), "--sigma-rel", "0.07")
    assert result.rc == 5
    assert "--ema.kind power" in result.err


def test_a_folder_that_is_not_empty_is_not_touched(diffx, run):
    Path("mine").mkdir()
    Path("mine/precious").write_text("mine")
    result = diffx("ema", str(run), "--sigma-rel", "0.07", "--out", "mine")
    assert result.rc == 2
    assert [one.name for one in Path("mine").iterdir()] == ["precious"]
