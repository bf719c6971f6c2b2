"""What `diffx sample` takes besides a sampler: guidance, another process."""

import json
from pathlib import Path

import pytest

from diffx_backbones.mlp import MLP

POINTS = ["--dataset", "toy2d", "--backbone", "mlp", "--backbone.width", "16"]
SHORT = [
    "--train.steps",
    "20",
    "--train.batch-size",
    "16",
    "--train.lr",
    "0.02",
    "--train.warmup=0",
]
"""Long enough for labels to matter."""
FEW = ["--n", "4", "--steps", "3"]


def train(diffx, out, *flags):
    result = diffx("train", *POINTS, *SHORT, "--dataset.kind", "moons", "--out", out, *flags)
    assert result.rc == 0, result.err


def drawn(diffx, out, *flags):
    result = diffx("sample", "run", *FEW, "--out", out, *flags)
    assert result.rc == 0, result.err
    facts = json.loads(Path(out, "sample.json").read_text())
    return facts, Path(out, "samples.safetensors").read_bytes()


def test_guidance_is_written_down_and_matters(diffx):
    train(diffx, "run")
    train(diffx, "weak", "--seed", "1")
    plain = drawn(diffx, "plain")[1]
    ways = {
        "rescale": ["--guidance.scale", "3", "--guidance.rule", "rescale", "--guidance.phi", "0.5"],
        "projected": ["--guidance.scale", "3", "--guidance.rule", "projected"],
        "interval": ["--guidance.scale", "3", "--guidance.interval", "0.5,20"],
        "auto": ["--guidance.scale", "3", "--guidance.against", "weak"],
    }
    found = {name: drawn(diffx, name, *flags) for name, flags in ways.items()}
    assert len({plain, *(samples for _, samples in found.values())}) == 5
    assert found["rescale"][0]["guidance"]["phi"] == 0.5
    assert found["interval"][0]["guidance"]["interval"] == [0.5, 20.0]
    assert found["auto"][0]["guidance"]["against"] == "weak"


def test_a_model_is_sampled_under_another_process_and_says_so(diffx):
    train(diffx, "run")
    own, plain = drawn(diffx, "own")
    flags = ["--scheduler", "rectified_flow", "--scheduler.shift", "2"]
    swapped, samples = drawn(diffx, "swapped", *flags)
    assert own["trained_with"] == swapped["trained_with"] == "diffx-schedulers:vpsde"
    assert own["scheduler"]["name"] == "diffx-schedulers:vpsde"
    assert swapped["scheduler"]["name"] == "diffx-schedulers:rectified_flow"
    assert swapped["scheduler"]["options"]["shift"] == 2
    assert samples != plain


REFUSED = {
    "rule": (["--guidance.rule", "rescale"], "rule rescale changes nothing at scale 1"),
    "unused": (
        ["--guidance.scale=2", "--guidance.phi=1"],
        "error: --guidance.phi: phi is 1, but the rule plain does not use it",
    ),
    "interval": (
        ["--label=1", "--guidance.scale=2", "--guidance.interval=100000,200000"],
        "--guidance.interval: guidance changes nothing from 100000 to 200000",
    ),
    "interval below": (
        ["--label=1", "--guidance.scale=2", "--guidance.interval=0,1e-9"],
        "--guidance.interval: guidance changes nothing from 0 to 1e-09",
    ),
    "file": (["run/config.yaml"], "run/config.yaml: is a file; give the folder of a run: run"),
    "seed": (["--seed", str(2**64)], f"--seed: must be < {2**64}"),
    "unknown rule": (["--guidance.rule", "hard"], "plain, rescale, plusplus, projected"),
    "against nothing": (["--guidance.scale=2", "--guidance.against=x"], "x: there is no such"),
    "options of no process": (["--scheduler.shift", "2"], "needs --scheduler NAME"),
    "process": (
        ["--scheduler", "vpsde", "--scheduler.beta_max", "1"],
        "(diffx-schedulers 0.1.0), cannot go under scheduler vpsde (diffx-schedulers 0.1.0): ",
    ),
    "noise at the end": (
        ["--scheduler", "vesde", "--scheduler.sigma_max", "2"],
        "is what sampling begins with; raise --scheduler.sigma_max",
    ),
    "steps": (["--steps", "0"], "must be >= 1"),
    "label": (["--label", "2"], "the model knows 0 to 1, not 2"),
    "trajectory": (["--trajectory", "--steps", "1"], "--trajectory: shows every step, and sampler"),
    "every": (["--every", "2"], "--every: is a part of --trajectory, which was not asked for"),
    "npz": (["--export", "npz"], "--export npz: holds images, and this model makes none"),
    "times": (["--scheduler", "ddpm", "--steps", "2000"], "1000 times"),
    "one time": (
        ["--sampler", "rk45", "--label=1", "--guidance.scale=2", "--guidance.interval=0.1,2"],
        "guidance in an interval needs the same time for all samples",
    ),
}


@pytest.mark.parametrize("sampler", ["rk45", "parallel"])
def test_calls_that_are_found_during_the_run_are_written_down(diffx, sampler, monkeypatch):
    train(diffx, "run")
    counts = []
    forward = MLP.forward

    def counted(self, *arguments):
        counts.append(len(arguments[0]))
        return forward(self, *arguments)

    monkeypatch.setattr(MLP, "forward", counted)
    line = ("sample", "run", "--n", "4", "--sampler", sampler)
    assert json.loads(diffx(*line, "--dry-run").out)["nfe"] is None
    shown = json.loads(diffx(*line, "--out", "s", "--json").out)
    written = json.loads(Path("s/sample.json").read_text())
    assert shown["nfe"] == written["nfe"] == len(counts) > 3


def test_an_unknown_device_is_nobodys_fault(diffx):
    train(diffx, "run")
    result = diffx("sample", "run", "--device", "abacus")
    assert result.rc == 2
    assert result.err.startswith("diffx: error: --device 'abacus' cannot be used here: ")


@pytest.mark.parametrize("values", ["", "3", "3,x", "1,2", "3,0", "3,-1"])
def test_ratios_say_what_they_are_made_of(diffx, values):
    result = diffx("sample", "nowhere", "--sampler.grid", f"ratios:{values}")
    wanted = "needs two or more falling numbers > 0 after the colon, as in ratios:20,5,1,0.1"
    assert result.err == f"diffx: error: --sampler.grid: {wanted}, got 'ratios:{values}'\n"


@pytest.mark.parametrize("flags", [[], ["--dry-run"]], ids=["run", "dry run"])
@pytest.mark.parametrize(("arguments", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_one_line_and_nothing_is_written(diffx, arguments, reason, flags):
    train(diffx, "run")
    where = [] if arguments[0] == "run/config.yaml" else ["run"]
    result = diffx("sample", *where, *arguments, *flags)
    assert result.rc == (5 if "no such" in reason or "is a file" in reason else 2)
    assert reason in result.err
    assert result.err.count("\n") == 1
    assert not Path("run/samples").exists()


def test_help_shows_the_process_as_optional(diffx):
    shown = diffx("sample", "--help").out
    assert "[default: none]" in shown
    assert "--guidance.against PATH" in shown
