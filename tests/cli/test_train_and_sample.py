"""Training and sampling through the command line, as small as it goes."""

import json
from pathlib import Path

import pytest
from PIL import Image

POINTS = ["--dataset", "toy2d", "--backbone", "mlp", "--backbone.width", "16"]
SHORT = ["--train.steps", "2", "--train.batch-size", "16"]


def _train(diffx, *flags):
    result = diffx("train", *POINTS, *SHORT, *flags)
    assert result.rc == 0, result.err
    return result


def test_a_run_is_numbered_and_complete(diffx):
    _train(diffx)
    _train(diffx, "--scheduler", "vesde")
    names = sorted(path.name for path in Path("runs").iterdir())
    assert names == ["00000-vpsde-mlp-toy2d", "00001-vesde-mlp-toy2d"]
    run = Path("runs") / names[0]
    files = {path.name for path in run.iterdir()}
    assert files == {
        *("config.yaml", "env.json", "metrics.jsonl", "loss.png", "checkpoints", "latest")
    }
    facts = json.loads((run / "env.json").read_text())
    assert facts["distributions"]["torch"]
    assert facts["distributions"]["diffx-backbones"]


def test_the_configuration_of_a_run_makes_the_same_run(diffx):
    _train(diffx, "--out", "a", "--train.lr", "0.01", "--seed", "5")
    result = diffx("train", "--config", "a/config.yaml", "--out", "b")
    assert result.rc == 0, result.err
    assert Path("b/config.yaml").read_text() == Path("a/config.yaml").read_text()
    weights = "checkpoints/step-00000002/model.safetensors"
    assert Path("b", weights).read_bytes() == Path("a", weights).read_bytes()


def test_a_dry_run_shows_everything_and_makes_nothing(diffx):
    result = diffx("train", *POINTS, "--dry-run", "--json")
    shown = json.loads(result.out)
    assert shown["parameters"] > 0
    assert set(shown["config"]) == {
        *("scheduler", "backbone", "dataset", "seed"),
        *("objective", "train", "ema", "save", "validate", "preview"),
    }
    assert list(Path.cwd().iterdir()) == []


def test_a_dry_run_refuses_what_the_run_refuses(diffx):
    held_out = ["--validate.every", "1", "--validate.examples", "999999"]
    said = [diffx("train", *POINTS, *held_out, *dry) for dry in ([], ["--dry-run"])]
    assert [one.rc for one in said] == [4, 4]
    assert said[0].err == said[1].err
    assert "fewer --validate.examples do" in said[1].err


def test_a_dry_run_is_a_configuration_file(diffx):
    Path("run.yaml").write_text(diffx("train", *POINTS, "--seed", "3", "--dry-run").out)
    result = diffx("train", "--config", "run.yaml", "--dry-run", "--json")
    assert json.loads(result.out)["config"]["seed"] == 3


def test_a_folder_that_is_not_empty_is_not_touched(diffx):
    Path("out").mkdir()
    Path("out/precious").write_text("mine")
    result = diffx("train", *POINTS, *SHORT, "--out", "out")
    assert result.rc == 2
    assert "--overwrite" in result.err
    assert [path.name for path in Path("out").iterdir()] == ["precious"]


def test_overwriting_removes_the_earlier_run_and_nothing_else(diffx):
    _train(diffx, "--out", "out")
    Path("out/precious").write_text("mine")
    before = Path("out/metrics.jsonl").read_text().count("\n")
    _train(diffx, "--out", "out", "--overwrite")
    assert Path("out/metrics.jsonl").read_text().count("\n") == before
    assert Path("out/precious").read_text() == "mine"


def test_overwriting_leaves_nothing_that_tells_of_the_earlier_weights(diffx):
    _train(diffx, "--out", "out")
    made = [
        ("sample", "--n", "2", "--steps", "2"),
        ("evaluate", "--n", "8", "--steps", "2", "--reference", "16", "--repeats", "1"),
        ("export", "--format", "safetensors"),
        ("report", "--no-draw"),
        ("likelihood", "--n", "2", "--steps", "1"),
    ]
    for command, *flags in made:
        result = diffx(command, "out", *flags)
        assert result.rc == 0, result.err
    told = {"samples", "evaluations", "exports", "report.html", "likelihood"}
    assert {one.name for one in Path("out").iterdir()} >= told
    _train(diffx, "--out", "out", "--overwrite", "--seed", "1")
    assert {one.name for one in Path("out").iterdir()} & told == set()


@pytest.mark.parametrize("out", ["file", "file/below"], ids=["a file", "below a file"])
def test_a_folder_that_cannot_be_is_refused(diffx, out):
    Path("file").write_text("")
    result = diffx("train", *POINTS, *SHORT, "--out", out)
    assert result.rc == 2
    assert out.split("/")[0] in result.err


def test_a_combination_that_cannot_be_names_both_and_makes_nothing(diffx):
    result = diffx("train", "--backbone", "dit", "--dataset", "toy2d")
    assert result.rc == 2
    assert "backbone dit (diffx-backbones " in result.err
    assert "cannot take dataset toy2d (diffx-datasets " in result.err
    assert list(Path.cwd().iterdir()) == []


def test_an_unknown_device_is_refused(diffx):
    result = diffx("train", *POINTS, *SHORT, "--device", "abacus")
    assert result.rc == 2
    assert "--device 'abacus'" in result.err
    assert list(Path.cwd().iterdir()) == []


def test_a_broken_network_is_named_with_its_package(diffx, fake_distribution):
    plugin = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_backbones():
    return [Component("short", "diffx_short.net:Short", "Returns the wrong shape")]
"""
    net = """
import torch

class Short(torch.nn.Module):
    def __init__(self, spec, *, width: int = 4):
        super().__init__()
        self.layer = torch.nn.Linear(spec.shape[0], 1)

    def forward(self, x, noise_label, cond):
        return self.layer(x)
"""
    fake_distribution("diffx-short", {"plugin": plugin, "net": net}, version="7.0")
    result = diffx("train", "--dataset", "toy2d", "--backbone", "short", *SHORT)
    assert result.rc == 3
    assert "backbone short (diffx-short 7.0): returned (" in result.err


NAN_SIGMA = """
import torch
from attrs import frozen
from diffx_core import Scheduler

@frozen(kw_only=True)
class Odd(Scheduler):
    def alpha(self, t):
        return 1 - t

    def sigma(self, t):
        return torch.where(t > 0.5, float("nan"), t)
"""
DOUBLE_ALPHA = NAN_SIGMA.replace(
    "1 - t", "(1 - t).double() if t.dtype.itemsize < 8 else (1 - t).float()"
)
WRONG_SHAPE = NAN_SIGMA.replace("1 - t", "(1 - t).mean()")
LYING_DATA = """
import torch
from attrs import frozen
from diffx_core import Batch, Condition, Dataset, DataSpec

@frozen(kw_only=True)
class Odd(Dataset):
    spec = DataSpec((2,))

    def __len__(self):
        return 8

    def batch(self, index):
        return Batch(torch.zeros(len(index), 3), Condition(), index)
"""


@pytest.mark.parametrize(
    ("kind", "source", "reason"),
    [
        ("scheduler", NAN_SIGMA, "sigma(t) is not finite at t = 0.5"),
        ("scheduler", DOUBLE_ALPHA, "alpha(t) is torch.float32 for torch.float64 times"),
        ("scheduler", WRONG_SHAPE, "alpha(t) does not have the shape of t"),
        ("dataset", LYING_DATA, "gives examples (3,), says (2,)"),
    ],
    ids=["nan", "dtype", "shape", "data"],
)
def test_a_component_that_breaks_its_contract_is_named_and_leaves_nothing(
    diffx, fake_distribution, kind, source, reason
):
    plugin = f"""
from diffx_core import Component, hookimpl

@hookimpl
def diffx_{kind}s():
    return [Component("odd", "diffx_odd.odd:Odd", "Breaks its contract")]
"""
    fake_distribution("diffx-odd", {"plugin": plugin, "odd": source}, version="7.0")
    flags = {"dataset": "toy2d", "backbone": "mlp", kind: "odd"}
    result = diffx("train", *(f"--{key}={value}" for key, value in flags.items()), *SHORT)
    assert result.rc == 3
    assert f"{kind} odd (diffx-odd 7.0): {reason}" in result.err
    assert list(Path.cwd().iterdir()) == []


def test_sampling_takes_the_newest_run(diffx):
    _train(diffx)
    _train(diffx, "--scheduler", "vesde")
    result = diffx("sample", "--n", "5", "--steps", "3")
    assert result.rc == 0, result.err
    folder = Path("runs/00001-vesde-mlp-toy2d/samples/0000-unipc")
    assert result.out == f"samples: {folder / 'grid.png'}\n"
    files = {path.name for path in folder.iterdir()}
    assert files == {"grid.png", "sample.json", "samples.safetensors"}
    facts = json.loads((folder / "sample.json").read_text())
    assert facts["sampler"]["name"] == "diffx-samplers:unipc"
    assert (facts["sampler"]["options"]["steps"], facts["nfe"], facts["n"]) == (3, 3, 5)


def test_samples_are_numbered_too(diffx):
    _train(diffx, "--out", "run")
    for sampler in ("ddim", "pc"):
        assert diffx("sample", "run", "--n", "2", "--nfe", "3", "--sampler", sampler).rc == 0
    names = sorted(path.name for path in Path("run/samples").iterdir())
    assert names == ["0000-ddim", "0001-pc"]


def test_the_same_seed_gives_the_same_samples(diffx):
    _train(diffx, "--out", "run")
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        line = ("sample", "run", "--n", "3", "--steps", "2", "--seed", str(seed), "--out", out)
        assert diffx(*line).rc == 0
    a, b, c = (Path(out, "samples.safetensors").read_bytes() for out in "abc")
    assert a == b
    assert a != c


def test_images_are_written_one_by_one_and_in_a_grid_of_classes(diffx):
    flags = ("--backbone", "dit", "--train.steps", "1", "--train.batch-size", "4", "--out", "run")
    assert diffx("train", *flags).rc == 0
    assert diffx("sample", "run", "--n", "12", "--steps", "1", "--out", "s").rc == 0
    assert json.loads(Path("s/sample.json").read_text())["labels"] == [*range(10), 0, 1]
    images = sorted(path.name for path in Path("s/images").iterdir())
    assert images == [f"{i:05d}.png" for i in range(12)]
    with Image.open("s/grid.png") as grid:
        width, height = grid.size
    assert width > 4 * height
    for flag, labels in (("--label=3", [3, 3]), ("--labels=1,2", [1, 2])):
        shown = diffx("sample", "run", "--n", "2", flag, "--dry-run")
        assert json.loads(shown.out)["labels"] == labels
    assert "0 to 9, not 10" in diffx("sample", "run", "--label", "10").err
    assert diffx("sample", "run", "--label", "10").rc == 2
    assert diffx("sample", "run", "--labels=0,-1").rc == 2
    assert diffx("sample", "run", "--labels=").rc == 2


REFUSED = {
    "no run": (["sample", "nowhere"], 5, "nowhere"),
    "label": (["sample", "run", "--label", "0"], 2, "without labels"),
    "guidance": (["sample", "run", "--guidance.scale", "2"], 2, "guide"),
    "calls": (["sample", "run", "--sampler", "pc", "--nfe", "2"], 2, "diffx-samplers"),
    "steps and calls": (["sample", "run", "--steps", "2", "--nfe", "2"], 2, "exclude"),
    "none": (["sample", "run", "--n", "0"], 2, "--n: must be >= 1"),
}


@pytest.mark.parametrize(("arguments", "rc", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_sampled_is_refused(diffx, arguments, rc, reason):
    _train(diffx, "--out", "run", "--dataset.kind", "swiss_roll")
    result = diffx(*arguments)
    assert result.rc == rc
    assert reason in result.err
    assert not Path("run/samples").exists()


def test_without_a_run_sampling_says_how_to_make_one(diffx):
    result = diffx("sample")
    assert result.rc == 5
    assert "diffx train" in result.err
    assert list(Path.cwd().iterdir()) == []


def test_a_sampler_that_needs_more_than_the_process_has_names_both(diffx, fake_distribution):
    plugin = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_samplers():
    return [Component("greedy", "diffx_greedy.greedy:Greedy", "Needs what nobody has")]
"""
    greedy = """
from attrs import frozen
from diffx_core import Sampler

@frozen(kw_only=True)
class Greedy(Sampler):
    '''Never starts.'''

    def needs(self):
        return frozenset({"moon"})

    def start(self, plan):
        return None

    def step(self, denoise, x, i, plan, state, noise):
        return x, state
"""
    fake_distribution("diffx-greedy", {"plugin": plugin, "greedy": greedy})
    _train(diffx, "--out", "run")
    result = diffx("sample", "run", "--sampler", "greedy")
    assert result.rc == 2
    assert "sampler greedy (diffx-greedy 1.0)" in result.err
    assert "vpsde (diffx-schedulers" in result.err
    assert "moon" in result.err


def test_a_run_whose_plugin_is_gone_says_what_to_install(diffx, monkeypatch):
    _train(diffx, "--out", "run")
    monkeypatch.setenv("DIFFX_PLUGINS", "diffx-samplers")
    result = diffx("sample", "run")
    assert result.rc == 3
    assert "pip install diffx-schedulers" in result.err


def test_the_demo_shows_its_two_commands(diffx):
    result = diffx("demo", "--dry-run")
    assert result.rc == 0
    lines = result.out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["$", "diffx", "train"],
        ["$", "diffx", "sample"],
    ]
    for line in lines:
        if "train" in line:
            assert diffx(*line.split()[2:], "--dry-run").rc == 0
