"""What `diffx sample` takes besides a sampler: guidance, another process, a film."""

import json
from pathlib import Path

import pytest
from PIL import Image

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


def test_a_film_shows_every_step(diffx):
    flags = ("--backbone", "dit", "--train.steps", "1", "--train.batch-size", "4", "--out", "run")
    assert diffx("train", *flags).rc == 0
    assert diffx("sample", "run", *FEW, "--gif", "--out", "s").rc == 0
    with Image.open("s/progress.gif") as film, Image.open("s/grid.png") as grid:
        assert film.n_frames == 3
        assert film.size == grid.size
        film.seek(2)
        shown, wanted = (one.convert("L").tobytes() for one in (film, grid))
    assert max(abs(a - b) for a, b in zip(shown, wanted, strict=True)) <= 2  # the film's palette


REFUSED = {
    "rule": (["--guidance.rule", "rescale"], "rule rescale changes nothing at scale 1"),
    "unused": (["--guidance.scale=2", "--guidance.phi=1"], "the rule plain does not use it"),
    "unknown rule": (["--guidance.rule", "hard"], "plain, rescale, plusplus, projected"),
    "against nothing": (["--guidance.scale=2", "--guidance.against=x"], "x: there is no such"),
    "options of no process": (["--scheduler.shift", "2"], "needs --scheduler NAME"),
    "process": (
        ["--scheduler", "vpsde", "--scheduler.beta_max", "1"],
        "under scheduler vpsde (diffx-schedulers",
    ),
    "steps": (["--steps", "0"], "must be >= 1"),
    "label": (["--label", "2"], "the model knows 0 to 1, not 2"),
    "film": (["--gif"], "--gif: shows images, and this model makes none"),
    "times": (["--scheduler", "ddpm", "--steps", "2000"], "1000 times"),
    "one time": (
        ["--sampler", "rk45", "--label=1", "--guidance.scale=2", "--guidance.interval=0.1,2"],
        "guidance in an interval needs the same time for all samples",
    ),
}


@pytest.mark.parametrize("flags", [[], ["--dry-run"]], ids=["run", "dry run"])
@pytest.mark.parametrize(("arguments", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_one_line_and_nothing_is_written(diffx, arguments, reason, flags):
    train(diffx, "run")
    result = diffx("sample", "run", *arguments, *flags)
    assert result.rc == (5 if "no such" in reason else 2)
    assert reason in result.err
    assert result.err.count("\n") == 1
    assert not Path("run/samples").exists()


def test_help_shows_the_process_as_optional(diffx):
    shown = diffx("sample", "--help").out
    assert "[default: none]" in shown
    assert "--guidance.against PATH" in shown
