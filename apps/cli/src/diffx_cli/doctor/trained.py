"""A training run by the real command, what it learned, how it goes on, and what it draws."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from diffx_cli.doctor.finding import Finding, Visit, held
from diffx_core.engine.layout import place, standing
from diffx_core.engine.manifest import read_manifest
from diffx_core.errors import DiffxError
from diffx_core.pipeline import Pipeline

SECONDS = 60
"""That training may take; it ends by itself, and what it has learned by then counts."""
POINTS = ("--dataset", "toy2d", "--backbone", "mlp", "--backbone.width", "64")
QUICK = (*POINTS, "--train.steps", "400", "--train.batch_size", "128", "--train.warmup", "20")
DIGITS = ("--dataset", "digits", "--backbone", "unet", "--preset", "tiny")
FULL = (*DIGITS, "--train.steps", "200", "--train.batch_size", "64")
QUICK_LOSS, FULL_LOSS = 0.72, 0.2
"""What the loss falls below; a network that says nothing has 0.95 or more."""
SHORT = (*POINTS, "--train.batch_size", "32")
SEED = ("--seed", "0")

N, STEPS = 8, 8
METHOD = "diffx-samplers:ddim"
"""Of first order: with four times the steps a quarter is lost."""
SAME = 1e-4
"""Of the samples' size: how far float32 may be off in another batch."""


def training(visit: Visit) -> Iterator[Finding]:
    """A run of at most a minute reaches a loss that is known."""
    run = visit.folder / "trained"
    limit = QUICK_LOSS if visit.quick else FULL_LOSS
    hours = ("--train.hours", f"{SECONDS / 3600:.6f}")
    _diffx(visit, "train", *(QUICK if visit.quick else FULL), *hours, *SEED, "--out", str(run))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rows = [one for one in lines if "loss" in one]
    last = [one["loss"] for one in rows[len(rows) * 3 // 4 :]]
    taken = f"{rows[-1]['step']} steps in {rows[-1]['seconds']:.0f} s"
    what = f"a run of at most {SECONDS} s learns: its loss falls"
    yield held("training", what, sum(last) / len(last), limit, taken)
    visit.run = run


def resuming(visit: Visit) -> Iterator[Finding]:
    """A run that ended and went on is, bit for bit, the run that never ended."""
    whole, parts = visit.folder / "whole", visit.folder / "parts"
    exact = () if visit.device.type == "cpu" else ("--deterministic",)
    for run, steps in ((whole, 20), (parts, 10), (parts, 20)):
        steps_and_out = ("--train.steps", str(steps), "--out", str(run))
        _diffx(visit, "train", *SHORT, *SEED, *exact, *steps_and_out)
    first, second = (read_manifest(standing(place(run, 20))) for run in (whole, parts))
    wrong = [
        name
        for name in ("model.safetensors", "ema.safetensors", "training.safetensors")
        if first[name].sha256 != second[name].sha256
    ]
    what = "a run that goes on ends with the same bytes"
    yield held("resuming", what, len(wrong), 0, f"other bytes in {', '.join(wrong)}" * bool(wrong))


def sampling(visit: Visit) -> Iterator[Finding]:
    """Samples depend on the seed and their number alone, and encoding can be undone."""
    if visit.run is None:
        raise DiffxError("there is no run, because training failed")
    part, model = "sampling", Pipeline.load(visit.run, visit.registry, device=visit.device)

    def draw(seed: int, batch_size: int = N) -> torch.Tensor:
        return model.sample(N, steps=STEPS, seed=seed, batch_size=batch_size).cpu()

    first = draw(0)
    size = float(first.abs().max())
    yield held(part, "samples are finite", float((~first.isfinite()).sum()), 0)
    again = float((draw(0) - first).abs().max())
    yield held(part, "one seed draws the same samples again", again, 0)
    split = float((draw(0, batch_size=3) - first).abs().max()) / size
    yield held(part, "a sample does not depend on its batch", split, SAME)
    other = int((draw(1) == first).flatten(1).all(1).sum())
    yield held(part, "another seed draws others", other, 0)
    few, many = (_undone(model, first, steps) for steps in (STEPS, 4 * STEPS))
    what = f"encoding is undone better with {4 * STEPS} steps than with {STEPS}"
    yield held(part, what, many / max(few, 1e-12), 0.5, f"{few:.1e} and {many:.1e} are lost")


def _undone(model: Pipeline, x: torch.Tensor, steps: int) -> float:
    latent = model.encode(x, sampler=METHOD, steps=steps)
    return float(
        (model.decode(latent, sampler=METHOD, steps=steps).cpu() - x).square().mean().sqrt()
    )


def _diffx(visit: Visit, *arguments: str) -> None:
    """Run the program as a user does.

    Raises:
        DiffxError: it fails, or takes far too long.
    """
    command: Sequence[str] = (sys.executable, "-m", "diffx_cli", *arguments)
    command = (*command, "--device", str(visit.device))
    try:
        done = subprocess.run(  # noqa: S603  # our own program
            command,
            cwd=Path(visit.folder),
            capture_output=True,
            text=True,
            timeout=10 * SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DiffxError(f"diffx {arguments[0]} did not end") from error
    if done.returncode:
        (*_, said) = ["it says nothing", *done.stderr.strip().splitlines()]
        said = said.removeprefix("diffx: error: ")
        raise DiffxError(f"diffx {arguments[0]} ended with {done.returncode}: {said}")
