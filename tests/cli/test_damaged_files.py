"""What is in the place of a file, and is none, is refused or said: nothing waits for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOY = ("train", "--dataset", "toy2d", "--backbone", "mlp", "--backbone.width", "16")
RUN = (*TOY, "--train.batch-size", "16", "--train.log-every", "1", "--save.every", "4")
AGAIN = ("train", "--resume", "run", "--train.steps", "12")
MANIFEST = "run/checkpoints/step-00000008/manifest.json"


@pytest.fixture
def made(diffx):
    """A run of 8 steps, with a best checkpoint."""
    looks = ("--validate.every", "4", "--validate.examples", "16")
    assert diffx(*RUN, *looks, "--train.steps", "8", "--out", "run").rc == 0
    return diffx


def again(*words):
    """The program in a process of its own, as a pipe may hold it up for ever."""
    command = [sys.executable, "-m", "diffx_cli", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize(
    ("name", "code", "line"),
    [
        (MANIFEST, 0, "not a readable checkpoint: Is not a file; an earlier checkpoint is used"),
        ("run/latest", 5, "run/latest: is not a file, and in the way of one"),
        ("run/best", 5, "run/best: is not a file, and in the way of one"),
        ("run/metrics.jsonl", 0, "diffx: note: metrics.jsonl is switched off, the run goes on: "),
    ],
)
def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(made, name, code, line):
    Path(name).unlink()
    os.mkfifo(name)
    done = again(*AGAIN)
    assert done.returncode == code, done.stderr
    assert line in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("name", "code"), [("env.json", 2), ("latest", 5), ("best", 5)])
def test_a_folder_in_the_place_of_a_file_is_refused_before_training(made, name, code):
    Path("run", name).unlink()
    Path("run", name).mkdir()
    done = made(*AGAIN)
    assert done.rc == code
    assert "internal error" not in done.err
    assert not Path("run/checkpoints/step-00000012").exists()


def test_a_name_that_no_folder_can_have_is_refused(diffx):
    done = diffx(*RUN, "--train.steps", "2", "--out", "x" * 300)
    assert done.rc == 2
    assert "File name too long" in done.err


def test_a_working_folder_that_is_gone_is_refused(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    inside = f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})"
    words = [*RUN, "--train.steps", "2", "--out", str(tmp_path / "run")]
    program = f"{inside}; from diffx_cli.__main__ import main; raise SystemExit(main({words}))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    line = "diffx: error: the folder in which diffx was started is gone: cd to another\n"
    assert done.stderr == line


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text.replace('{"step": 3,', "#", 1), "the figures of 1 line are lost"),
        (lambda _: "", "the figures of steps 1 to 8 are lost"),
        (lambda text: "".join(text.splitlines(True)[:3]), "the figures of steps 4 to 8 are lost"),
        (lambda text: text + '{"step": 9, "lo', None),
    ],
    ids=["a line", "emptied", "cut", "as a crash leaves it"],
)
def test_figures_that_are_lost_are_said(made, caplog, damage, said):
    path = Path("run/metrics.jsonl")
    path.write_text(damage(path.read_text()))
    assert made(*AGAIN).rc == 0
    lost = [line for line in caplog.messages if "lost" in line]
    assert lost == ([] if said is None else lost)
    assert len(lost) == (said is not None)
    assert said is None or lost[0].endswith(said)


def test_a_damaged_best_is_said_and_written_again(made):
    path = Path("run/best")
    before = path.read_text()
    path.write_text("nonsense")
    done = made("train", "--resume", "run")
    assert done.rc == 0
    assert "diffx: note: run/best: does not name a checkpoint: " in done.err
    assert path.read_text() == before
