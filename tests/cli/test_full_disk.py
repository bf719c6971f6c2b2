"""A disk that is full is a line, wherever that is found out."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from published import PlainDiT, fill

POINTS = ["--dataset", "toy2d", "--dataset.kind", "swiss_roll", "--backbone", "mlp"]
SHORT = ["--backbone.width", "16", "--train.steps", "2", "--train.batch-size", "16"]
FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")
@pytest.mark.parametrize("arguments", [["list-plugins", "--json"], ["--help"]], ids=" ".join)
def test_a_result_that_cannot_be_written_is_one_line(tmp_path, arguments):
    command = [sys.executable, "-m", "diffx_cli", *arguments]
    with FULL.open("w") as full:
        done = subprocess.run(
            command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr == (
        "diffx: error: standard output: cannot be written: No space left on device\n"
    )


@pytest.mark.parametrize(
    ("size", "n"), [(100, 2), (6_000, 1_000)], ids=["what made them", "samples"]
)
def test_samples_that_cannot_be_written_are_one_line(diffx, limited, size, n):
    assert diffx("train", *POINTS, *SHORT, "--out", "run").rc == 0
    limited(size)
    line = ("sample", "run", "--n", str(n), "--batch-size", "1000", "--steps", "2")
    result = diffx(*line, "--out", "samples")
    assert (result.rc, result.err.count("\n")) == (2, 1)
    assert result.err.startswith("diffx: error: samples: cannot be written: ")
    assert not Path("samples").exists()
    assert diffx(*line).rc == 2
    assert not Path("run/samples").exists()


@pytest.mark.parametrize(("size", "steps"), [(100, 2), (2_500, 30)], ids=["config", "metrics"])
def test_a_run_that_cannot_be_written_says_so(diffx, limited, size, steps):
    limited(size)
    long = ["--train.steps", str(steps), "--train.log-every", "1", "--train.batch-size", "16"]
    result = diffx("train", *POINTS, *SHORT[:2], *long, "--out", "run")
    assert result.rc == 2
    assert "diffx: error: run: cannot be written: File too large" in result.err
    assert (steps > 2) == Path("run/metrics.jsonl").exists() == Path("run").exists()


@pytest.mark.parametrize("size", [100, 6_000], ids=["config", "weights"])
@pytest.mark.parametrize("out", [["--out", "new/run"], []], ids=["named", "numbered"])
def test_imported_weights_that_cannot_be_written_are_one_line(diffx, tmp_path, limited, size, out):
    network = PlainDiT(side=8, channels=3, outputs=6, patch=4, width=32, depth=2, heads=4)
    torch.save(fill(network).state_dict(), tmp_path / "dit.pt")
    limited(size)
    words = ("import-weights", str(tmp_path / "dit.pt"), "--backbone.heads", "4")
    result = diffx(*words, *out)
    assert (result.rc, result.err.count("\n")) == (2, 1)
    assert "cannot be written: " in result.err
    assert "File too large" in result.err
    assert list(Path.cwd().iterdir()) == []


def test_weights_that_were_learned_and_cannot_be_written_say_so(diffx, limited):
    limited(4_000)
    result = diffx("train", *POINTS, *SHORT, "--out", "run")
    assert result.rc == 2
    assert "diffx: error: run: cannot be written: " in result.err
    assert "File too large" in result.err
    assert not Path("run/latest").exists()
