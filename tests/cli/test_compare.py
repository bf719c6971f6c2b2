"""Comparison: cells that are measured once, a table and a plot of all of them."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from diffx_cli.evaluate.evaluating import Evaluation
from diffx_cli.evaluate.judging import Judge

QUICK = ["--n", "12", "--repeats", "2", "--reference", "200", "--metric", "sliced_wasserstein"]


@pytest.fixture
def compared(diffx, points_run, tmp_path):
    """Compare, beside a copy of the run."""
    shutil.copytree(points_run, Path("run"))

    def run(*arguments):
        result = diffx("compare", "run", *QUICK, *arguments, "--json")
        assert result.rc == 0, result.err
        return json.loads(result.out)

    return run


@pytest.fixture
def measured(monkeypatch):
    """What is measured, one title after the other."""
    titles, judged = [], Evaluation.judged

    def watched(self, series, findings, title):
        titles.append(title)
        return judged(self, series, findings, title)

    monkeypatch.setattr(Evaluation, "judged", watched)
    return titles


def test_every_cell_is_measured_and_drawn(compared):
    found = compared("--samplers", "ddim,unipc", "--nfe", "2,4")
    cells = {(one["label"], one["nfe"]): one for one in found["cells"]}
    assert list(cells) == [("ddim", 2), ("ddim", 4), ("unipc", 2), ("unipc", 4)]
    for (label, nfe), one in cells.items():
        assert one["sampler"]["name"] == f"diffx-samplers:{label}"
        assert one["sampler"]["options"]["steps"] == nfe
        assert one["figures"][0]["name"] == "SW2[values]"
    assert (found["n"], found["repeats"], found["metric"]["name"]) == (
        12,
        2,
        "diffx-metrics:sliced_wasserstein",
    )
    file = Path(found["comparison"])
    assert file.parent.parent == Path("run/comparisons")
    saved = json.loads(file.read_text())
    assert {"comparison": str(file), **saved} == found
    with Image.open(file.with_name("comparison.png")) as plot:
        assert min(plot.size) > 300


def test_a_cell_is_the_evaluation_of_the_sampler(compared, diffx):
    cell = compared("--samplers", "ddim", "--nfe", "3")["cells"][0]
    flags = [one for one in QUICK if one != "--metric"][:-1]
    metric = ["--metrics", "sliced_wasserstein", "--sampler", "ddim", "--nfe", "3"]
    alone = json.loads(diffx("evaluate", "run", *flags, *metric, "--json").out)
    assert cell["figures"] == alone["figures"]


def test_what_was_measured_is_not_measured_again(compared, measured):
    first = compared("--samplers", "ddim", "--nfe", "2,4")
    assert measured == ["ddim 2", "ddim 4"]
    cells = Path(first["comparison"]).parent / "cells"
    next(cells.glob("ddim-4-*.json")).unlink()  # as if it had been ended there
    assert compared("--samplers", "ddim", "--nfe", "2,4") == first
    assert measured == ["ddim 2", "ddim 4", "ddim 4"]
    more = compared("--samplers", "ddim,unipc", "--nfe", "2")
    assert measured[3:] == ["unipc 2"]
    assert more["comparison"] == first["comparison"]
    assert more["cells"][0] == first["cells"][0]


def test_another_protocol_has_another_folder(compared, measured):
    one, other = (compared("--samplers", "ddim", "--nfe", "2", "--seed", seed) for seed in "01")
    assert one["comparison"] != other["comparison"]
    assert len(measured) == 2


def test_a_folder_that_holds_another_comparison_is_not_touched(compared, diffx):
    flags = "--samplers", "ddim", "--nfe", "2", "--out", "out"
    compared(*flags)
    before = Path("out/comparison.json").read_text()
    result = diffx("compare", "run", *QUICK, *flags, "--seed", "1")
    assert result.rc == 2
    assert "out: is not empty; --overwrite replaces what diffx wrote there" in result.err
    assert Path("out/comparison.json").read_text() == before
    assert compared(*flags, "--seed", "1", "--overwrite")["seed"] == 1
    assert len(list(Path("out/cells").iterdir())) == 1


def test_calls_that_a_sampler_cannot_make_are_left_out_and_said(compared, diffx):
    compared("--samplers", "ddim,heun", "--nfe", "3,4")
    result = diffx("compare", "run", *QUICK, "--samplers", "ddim,heun", "--nfe", "3,4")
    assert "heun 4 is left out: no number of steps makes exactly 4 network calls" in result.err
    rows = [line.split() for line in result.out.splitlines() if line.startswith(("ddim", "heun"))]
    assert [row[0] for row in rows] == ["ddim", "heun"]
    assert rows[1][-1] == "-"


def test_a_damaged_cell_is_named(compared, diffx):
    found = compared("--samplers", "ddim", "--nfe", "2")
    (cell,) = (Path(found["comparison"]).parent / "cells").iterdir()
    cell.write_text("{")
    result = diffx("compare", "run", *QUICK, "--samplers", "ddim", "--nfe", "2")
    assert result.rc == 4
    assert f"{cell}: is damaged: remove it" in result.err


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--samplers", "heun", "--nfe", "4"], "--nfe: heun 4: no number of steps"),
        (["--nfe", "5,5"], "--nfe: 5 is there twice"),
        (["--nfe", "0"], "--nfe"),
        (["--samplers", "dddim"], "did you mean 'ddim'?"),
        (["--metric", "fid"], "unknown metric 'fid'"),
        (["--features", "classifier"], "features classifier: a classifier needs images"),
    ],
)
def test_what_cannot_be_compared_is_refused(diffx, points_run, flags, line):
    given = QUICK[:-2] if "--metric" in flags else QUICK
    result = diffx("compare", str(points_run), *given, *flags, "--out", "out")
    assert result.rc == 2
    assert line in result.err
    assert len(result.err.splitlines()) == 1
    assert not Path("out").exists()


def test_a_cell_goes_on_where_it_was_ended(compared, diffx, monkeypatch):
    flags = "--samplers", "ddim", "--nfe", "2", "--batch-size", "5"
    whole = compared(*flags, "--out", "whole")
    look, seen = Judge.look, []

    def looked(self, x):
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(len(x))
        return look(self, x)

    monkeypatch.setattr(Judge, "look", looked)
    assert diffx("compare", "run", *QUICK, *flags, "--out", "part").rc == 130
    seen[:] = [0] * 5
    assert compared(*flags, "--out", "part")["cells"] == whole["cells"]
    assert seen == [0] * 5 + [5, 4]
    assert {one.name for one in Path("part").iterdir()} == {
        *("cells", "protocol.json", "comparison.json", "comparison.png"),
    }


@pytest.mark.slow
def test_processes_share_the_work(shell, compared, points_run):
    flags = "--samplers", "ddim", "--nfe", "2,3", "--device", "cpu"
    alone = compared(*flags)["cells"]
    there = str(points_run), "--out", "shared", "--nproc", "2"
    done = shell("diffx_cli", "compare", *there, *QUICK, *flags, "--json")
    assert done.returncode == 0, done.stderr
    found = [one["figures"][0]["mean"] for one in json.loads(done.stdout)["cells"]]
    assert found == pytest.approx([one["figures"][0]["mean"] for one in alone], rel=1e-4)


def test_lines_say_of_which_cell_they_are(compared, diffx):
    flags = "--samplers", "ddim", "--nfe", "2,3", "--batch-size", "12"
    told = diffx("compare", "run", *QUICK, *flags).err
    for calls in (2, 3):
        assert f"ddim {calls}  12/24 samples" in told
        assert f"ddim {calls}  24/24 samples" in told
