"""The demo, with a recipe that takes no time."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from time import sleep

import pytest

from diffx_cli.commands import demo
from diffx_core.options import DEFAULT_SAMPLER


def test_the_demo_trains_samples_and_says_where_the_picture_is(diffx, monkeypatch):
    small = {"dataset": "toy2d", "backbone": "mlp", "train.steps": "2", "train.batch_size": "8"}
    monkeypatch.setattr(demo, "TRAINED", small)
    monkeypatch.setattr(demo, "SAMPLED", {"steps": "2", "n": "4"})
    result = diffx("demo", "--out", "here", "--seed", "3")
    assert result.rc == 0, result.err
    last = result.out.splitlines()[-1]
    assert last.startswith("the picture: ")
    picture = Path(last.removeprefix("the picture: "))
    assert picture == (Path("here") / "samples" / f"0000-{DEFAULT_SAMPLER}" / "grid.png").resolve()
    assert picture.stat().st_size > 0
    told = json.loads(diffx("demo", "--out", "there", "--seed", "3", "--json").out)
    assert told["run"] == "there"
    assert told["train"].startswith("diffx train --dataset toy2d --backbone mlp")
    assert Path(told["picture"]).read_bytes() == picture.read_bytes()
    dry = json.loads(diffx("demo", "--dry-run", "--json").out)
    assert dry["run"] is dry["picture"] is None


ENDLESS = """
import sys
from diffx_cli.__main__ import main
from diffx_cli.commands import demo
small = {"dataset": "toy2d", "backbone": "mlp", "train.batch_size": "8"}
demo.TRAINED = {**small, "train.steps": "1000000", "save.every": "1"}
sys.exit(main(["demo", "--out", "here", "--device", "cpu"]))
"""


@pytest.mark.slow
def test_a_demo_that_is_interrupted_ends_and_says_how_to_go_on(tmp_path):
    command = [sys.executable, "-c", ENDLESS]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "here" / "latest").exists():
        assert process.poll() is None, process.communicate()
        sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 130, err
    assert out.splitlines()[-1] == "go on: diffx train --resume here"
    assert "stopped by SIGINT" in err
    assert not (tmp_path / "here" / "samples").exists()
