"""A disk that is full is a line, wherever that is found out."""

import json
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
    result = diffx("sample", "run", "--n", str(n), "--steps", "2", "--out", "samples")
    assert (result.rc, result.err.count("\n")) == (2, 1)
    assert result.err.startswith("diffx: error: samples: cannot be written: ")
    assert not Path("samples").exists()
    assert diffx("sample", "run", "--n", str(n), "--steps", "2").rc == 2
    assert not Path("run/samples").exists()


def test_a_run_that_cannot_be_begun_says_so(diffx, limited):
    limited(100)
    result = diffx("train", *POINTS, *SHORT, "--out", "run")
    assert result.rc == 2
    assert "diffx: error: run: cannot be written: File too large" in result.err
    assert not Path("run").exists()


def test_figures_that_cannot_be_written_end_before_half_a_line(diffx, limited, caplog):
    limited(2_500)
    long = ["--train.steps", "30", "--train.log-every", "1", "--train.batch-size", "16"]
    long += ["--loggers", "csv"]
    result = diffx("train", *POINTS, *SHORT[:2], *long, "--out", "run")
    assert result.rc == 5
    assert "lines are lost until there is room" in caplog.text
    lines = Path("run/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [*range(1, len(lines) + 1)]
    assert 0 < len(lines) < 30
    text = Path("run/metrics.csv").read_text()
    assert text.endswith("\n")
    assert len({row.count(",") for row in text.splitlines()}) == 1


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
    assert result.rc == 5
    checkpoint = Path("run/checkpoints/step-00000002")
    assert result.err.endswith(f"diffx: error: cannot write {checkpoint}: File too large\n")
    assert "diffx: note: cannot write" not in result.err
    assert not Path("run/latest").exists()


def test_event_files_that_cannot_be_written_are_one_line(tmp_path):
    pytest.importorskip("tensorboard")
    words = ["train", *POINTS, *SHORT[:2], "--train.steps", "40", "--train.batch-size", "16"]
    words += ["--train.log-every", "1", "--loggers", "tensorboard", "--out", "run"]
    done = subprocess.run(
        [sys.executable, "-c", CRAMPED.format(words)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if "tensorboard" in line]
    assert len(said) == 1, done.stderr
    assert said[0].startswith("diffx: note: logger tensorboard (diffx-loggers ")
    assert "is switched off, the run goes on" in said[0]


CRAMPED = """
import sys

import diffx_loggers.tensorboard as ours
from diffx_cli.__main__ import main
from resource import RLIMIT_FSIZE, RLIM_INFINITY, setrlimit
from signal import SIG_IGN, SIGXFSZ, signal

signal(SIGXFSZ, SIG_IGN)
scalars = ours.TensorBoard.scalars

def cramped(self, step, values):
    setrlimit(RLIMIT_FSIZE, (1_000, RLIM_INFINITY))
    try:
        scalars(self, step, values)
    finally:
        setrlimit(RLIMIT_FSIZE, (RLIM_INFINITY, RLIM_INFINITY))

ours.TensorBoard.scalars = cramped
sys.exit(main({}))
"""
"""A program for which the disk is full while figures are written."""
