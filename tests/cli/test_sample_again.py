"""Samples that go on after an end, are drawn again from their JSON, shared, shown and exported."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from diffx_cli.line.advance import Advance
from diffx_cli.output.folders import clear
from diffx_cli.output.place import Place
from diffx_cli.sample import batches
from diffx_cli.sample.drawn import KEPT, Drawn

FEW = ["--n", "20", "--batch-size", "4", "--device", "cpu"]
"""In five batches."""
MANY = [*FEW, "--nfe", "3"]


def contents(folder):
    return {
        str(one.relative_to(folder)): one.read_bytes()
        for one in Path(folder).rglob("*")
        if one.is_file()
    }


@pytest.fixture
def sampled(diffx, digits_run):
    """Sample the digits into a folder; returns what it holds."""

    def sample(out, *flags):
        calls = [] if "--nfe" in flags else ["--nfe", "3"]
        result = diffx("sample", str(digits_run), *FEW, *calls, *flags, "--out", out)
        assert result.rc == 0, result.err
        return contents(out)

    return sample


@pytest.fixture
def breaking(monkeypatch):
    """Have the drawing of a batch fail."""
    draw = batches.Batches._draw

    def arrange(number, error):
        def drawn(self, batch, *rest):
            if batch == number and error is not None:
                raise error
            draw(self, batch, *rest)

        monkeypatch.setattr(batches.Batches, "_draw", drawn)

    return arrange


def refused(result, code, reason):
    assert (result.rc, result.err.count("\n")) == (code, 1), result.err
    assert reason in result.err


def test_a_json_draws_the_same_bytes_again(diffx, sampled):
    how = ["--label", "3", "--guidance.scale", "2", "--scheduler", "rectified_flow"]
    first = sampled("first", *how, "--sampler", "heun", "--sampler.grid", "karras", "--nfe", "9")
    result = diffx("sample", "--from", "first/sample.json", "--out", "second")
    assert (result.rc, "diffx:" in result.err) == (0, False)
    assert contents("second") == first
    assert len(first) == 22


def test_points_are_drawn_again_too(diffx, points_run):
    line = ("sample", str(points_run), "--n", "6", "--sampler", "rk45", "--batch-size", "4")
    assert diffx(*line, "--out", "a").rc == 0
    assert diffx("sample", "--from", "a/sample.json", "--out", "b").rc == 0
    assert contents("b") == contents("a")


def test_flags_count_more_than_the_json_and_are_said(diffx, sampled):
    first = sampled("first")
    flags = ["--seed", "8", "--label", "2"]
    result = diffx("sample", "--from", "first/sample.json", *flags, "--out", "second")
    assert result.rc == 0
    said = [line for line in result.err.splitlines() if line.startswith("diffx:")]
    assert said == [
        "diffx: note: --from first/sample.json: what it says of labels, seed does not count"
    ]
    facts = json.loads(contents("second")["sample.json"])
    assert (facts["seed"], facts["labels"], facts["nfe"]) == (8, [2] * 20, 3)
    assert contents("second")["images/00000.png"] != first["images/00000.png"]


def test_a_run_that_moved_with_its_samples_is_found(diffx, digits_run):
    shutil.copytree(digits_run, "old")
    assert diffx("sample", "old", *MANY).rc == 0
    Path("old").rename("new")
    (folder,) = Path("new/samples").iterdir()
    assert diffx("sample", "--from", str(folder / "sample.json"), "--out", "again").rc == 0
    first, again = contents(folder), contents("again")
    del first["sample.json"], again["sample.json"]  # they name the folder of the run
    assert again == first


def test_a_run_that_moved_without_its_samples_is_named(diffx, digits_run):
    shutil.copytree(digits_run, "old")
    assert diffx("sample", "old", *MANY, "--out", "first").rc == 0
    Path("old").rename("new")
    words = "old: is not there; name the run of first/sample.json with --run"
    refused(diffx("sample", "--from", "first/sample.json"), 5, words)
    line = ("sample", "new", "--from", "first/sample.json", "--out", "again")
    assert diffx(*line).rc == 0
    assert contents("again")["grid.png"] == contents("first")["grid.png"]


def test_another_model_to_guide_against_is_refused(diffx):
    small = ["--dataset", "toy2d", "--backbone", "mlp", "--backbone.width", "16"]
    for name, steps in (("strong", "4"), ("weak", "2")):
        assert diffx("train", *small, "--train.steps", steps, "--out", name).rc == 0
    guided = ["--guidance.scale", "2", "--guidance.against", "weak"]
    assert diffx("sample", "strong", "--n", "3", *guided, "--out", "first").rc == 0
    again = ("sample", "--from", "first/sample.json", "--out", "again")
    assert diffx(*again).rc == 0
    assert contents("again") == contents("first")
    other = ["--seed", "1", "--overwrite", "--out", "weak"]
    assert diffx("train", *small, "--train.steps", "2", *other).rc == 0
    refused(diffx(*again, "--overwrite"), 5, "weak: its weights are not those of first/sample.json")


def test_a_sampler_with_an_infinite_option_is_repeated(diffx, points_run):
    line = ("sample", str(points_run), "--n", "3", "--sampler", "sa_solver", "--nfe", "3")
    assert diffx(*line, "--out", "a").rc == 0
    assert diffx("sample", "--from", "a/sample.json", "--out", "b").rc == 0
    assert contents("b") == contents("a")


def test_another_model_is_refused(diffx, sampled, points_run):
    sampled("first")
    result = diffx("sample", str(points_run), "--from", "first/sample.json", "--out", "again")
    assert result.rc == 5
    assert "first/sample.json" in result.err
    assert not Path("again").exists()


def test_a_run_that_went_on_is_sampled_at_the_step_that_was_written_down(diffx):
    small = ["--dataset", "toy2d", "--backbone", "mlp", "--backbone.width", "16"]
    for steps in ("4", "8"):
        again = [] if steps == "4" else ["--resume", "run"]
        line = [*small, "--out", "run"] if steps == "4" else again
        assert diffx("train", *line, "--train.steps", steps, "--train.warmup", "0").rc == 0
        if steps == "4":
            assert diffx("sample", "run", "--n", "3", "--out", "first").rc == 0
    assert diffx("sample", "--from", "first/sample.json", "--out", "again").rc == 0
    tensors = [Path(one, "samples.safetensors").read_bytes() for one in ("first", "again")]
    assert tensors[0] == tensors[1]
    shutil.rmtree("run/checkpoints/step-00000004")
    refused(diffx("sample", "--from", "first/sample.json"), 5, "no checkpoint of step 4 any more")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "cannot be read: No such file"),
        ("{", "is no JSON"),
        ("[]", "is no sample.json"),
        ('{"n": 4}', "it lacks what reproduces samples"),
    ],
    ids=["missing", "broken", "list", "other"],
)
def test_a_json_that_is_none_is_refused(diffx, text, reason):
    if text is not None:
        Path("s.json").write_text(text)
    refused(diffx("sample", "--from", "s.json"), 4, reason)


def test_what_was_ended_goes_on_with_the_same_bytes(diffx, sampled, breaking, digits_run):
    whole = sampled("whole")
    line = ("sample", str(digits_run), *MANY, "--out", "part")
    breaking(3, KeyboardInterrupt())
    result = diffx(*line)
    assert result.rc == 130
    assert "part: keeps 12 of 20 samples; the same command goes on" in result.err
    assert {one.name for one in Path("part").iterdir()} == {KEPT}
    refused(diffx(*line[:-2], "--label", "1", "--out", "part"), 2, "another command began")
    breaking(0, AssertionError("it was drawn already"))
    result = diffx(*line)
    assert result.rc == 0, result.err
    assert "part: goes on after 12 of 20 samples" in result.err
    assert contents("part") == whole


def test_a_numbered_folder_goes_on_and_another_order_takes_the_next(diffx, breaking, digits_run):
    shutil.copytree(digits_run, "run")
    breaking(1, KeyboardInterrupt())
    assert diffx("sample", "run", *MANY).rc == 130
    breaking(1, None)
    assert diffx("sample", "run", *MANY, "--label", "4").rc == 0
    assert diffx("sample", "run", *MANY).rc == 0
    found = [json.loads((one / "sample.json").read_text()) for one in Path("run/samples").iterdir()]
    assert sorted(one["labels"][4] for one in found) == [4, 4]
    assert {len(set(one["labels"])) for one in found} == {1, 10}
    assert not list(Path("run/samples").rglob(KEPT))


@pytest.mark.parametrize("moves", [0, 1, 3])
def test_publishing_that_was_killed_goes_on(diffx, sampled, monkeypatch, digits_run, moves):
    whole = sampled("whole")
    sampled("part", "--seed", "1")
    publish = Drawn.publish

    def killed(self, place):
        """Leave what a process leaves that is killed after some files."""
        clear(place.folder, place.names)
        (self.folder / "whole").touch()
        for one in sorted(self.final.iterdir())[:moves]:
            one.rename(place.folder / one.name)
        raise KeyboardInterrupt

    line = ("sample", str(digits_run), *MANY, "--out", "part", "--overwrite")
    monkeypatch.setattr(Drawn, "publish", killed)
    assert diffx(*line).rc == 130
    assert len(list(Path("part").iterdir())) == 1 + moves
    monkeypatch.setattr(Drawn, "publish", publish)
    assert diffx(*line).rc == 0
    assert contents("part") == whole


def test_publishing_one_batch_that_was_killed_goes_on(diffx, monkeypatch, digits_run):
    line = ("sample", str(digits_run), "--n", "4", "--nfe", "3", "--out")
    assert diffx(*line, "whole").rc == 0

    def killed(self, source):
        """Leave what a process leaves that is killed after two files."""
        for one in sorted(source.iterdir())[:2]:
            one.rename(self.folder / one.name)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Place, "publish", killed)
        patched.setattr(Drawn, "leave", lambda _: None)
        assert diffx(*line, "part").rc == 130
    assert {one.name for one in Path("part").iterdir()} == {KEPT, "grid.png", "images"}
    result = diffx(*line, "part")
    assert result.rc == 0, result.err
    assert contents("part") == contents("whole")


@pytest.mark.slow
@pytest.mark.parametrize("order", [(1, 2), (2, 1)], ids=["one, then two", "two, then one"])
def test_a_killed_process_loses_the_batches_that_it_draws(tmp_path, digits_run, rank_of, order):
    first, second = ([] if n == 1 else ["--nproc", str(n)] for n in order)
    line = ["sample", str(digits_run), "--n", "150", "--batch-size", "10", "--nfe", "60"]
    line = [sys.executable, "-m", "diffx_cli", *line, "--device", "cpu", "--out"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    how = {"cwd": tmp_path, "env": env, "text": True, "stderr": subprocess.PIPE}
    subprocess.run([*line, "whole"], check=True, **how)
    process = subprocess.Popen([*line, "part", *first], **how)
    assert any(line.startswith("60/150 samples") for line in process.stderr)
    os.kill(rank_of(process, 1) if first else process.pid, signal.SIGKILL)
    _, said = process.communicate()
    if first:
        assert process.returncode == 128 + signal.SIGKILL
        assert "process 1 was ended by SIGKILL; start the same command again" in said
    there = 10 * len(list((tmp_path / "part" / KEPT / "parts").glob("*.json")))
    assert 60 <= there < 150
    done = subprocess.run([*line, "part", *second], check=True, **how)
    assert f"goes on after {there} of 150 samples" in done.stderr
    assert contents(tmp_path / "part") == contents(tmp_path / "whole")


def test_a_trajectory_shows_x_and_its_data_side_by_side(sampled):
    found = sampled("s", "--trajectory", "--sampler", "ddim", "--nfe", "7", "--every", "3")
    assert {"trajectory.gif", "trajectory.png"} < set(found)
    with (
        Image.open("s/trajectory.gif") as film,
        Image.open("s/trajectory.png") as strip,
        Image.open("s/images/00000.png") as first,
    ):
        assert film.n_frames == 3  # after steps 3, 6 and 7
        cell = 64 + 2
        assert strip.size == (3 * cell + 2, 2 * 4 * cell + 2)
        assert film.size == (2 * (4 * cell + 2) + 4, cell + 2)
        last = strip.crop((2 * cell + 2, 2, 3 * cell, cell)).resize((8, 8), Image.Resampling.BOX)
        assert last.tobytes() == first.tobytes()
        middle = strip.crop((2, 2, cell, cell)).tobytes()
        data = strip.crop((2, cell + 2, cell, 2 * cell)).tobytes()
        assert middle != data


def test_a_trajectory_of_one_step_is_refused(diffx, digits_run):
    line = ("sample", str(digits_run), "--n", "2", "--sampler", "rk45", "--trajectory")
    result = diffx(*line, "--dry-run")
    refused(result, 2, "shows every step, and sampler rk45 (diffx-samplers 0.1.0) makes one")
    loose = ["--sampler.rtol", "0.1", "--sampler.atol", "0.1", "--steps", "3"]
    assert diffx(*line, *loose, "--out", "s").rc == 0
    with Image.open("s/trajectory.gif") as film, Image.open("s/grid.png") as grid:
        assert film.n_frames == 3
        assert film.size == grid.size  # of times of its own, x alone


def test_a_trajectory_of_points_moves_them_to_where_they_end(diffx, points_run):
    line = "sample", str(points_run), "--n", "30", "--nfe", "7", "--seed", "2"
    assert diffx(*line, "--out", "alone").rc == 0
    assert diffx(*line, "--trajectory", "--every", "3", "--out", "s").rc == 0
    alone, shown = contents("alone"), contents("s")
    assert set(shown) - set(alone) == {"trajectory.gif", "trajectory.png"}
    assert {name: shown[name] for name in alone} == alone
    with Image.open("s/trajectory.gif") as film, Image.open("s/trajectory.png") as strip:
        assert film.n_frames == 3  # after steps 3, 6 and 7
        assert film.width == 2 * film.height  # x, and its data beside it
        frames = []
        for i in range(3):
            film.seek(i)
            frames.append(film.convert("RGB").tobytes())
        assert len(set(frames)) == 3
        assert strip.width * 2 == strip.height * 3


def test_exports_hold_every_sample(sampled):
    found = sampled("s", "--export", "npz,safetensors")
    images = np.stack([np.asarray(Image.open(f"s/images/{i:05d}.png")) for i in range(20)])[
        ..., None
    ]
    with np.load("s/samples.npz") as arrays:
        assert arrays["arr_0"].dtype == np.uint8
        np.testing.assert_array_equal(arrays["arr_0"], images)
        assert arrays["arr_1"].tolist() == [*range(10), *range(10)]
    numbers = load_file("s/samples.safetensors")["samples"].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(numbers * 127.5 + 127.5, images, atol=0.5 + 1e-3)
    assert found == sampled("t", "--export", "npz,safetensors")


def test_how_far_it_is_is_said_in_lines(diffx, digits_run):
    result = diffx("sample", str(digits_run), *MANY, "--out", "s")
    lines = result.err.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["4/20", "8/20", "12/20", "16/20", "20/20"]
    assert diffx("sample", str(digits_run), "--n", "2", "--nfe", "2", "--out", "t").err == ""


@pytest.mark.slow
def test_processes_that_have_no_batch_are_said(tmp_path, digits_run):
    line = ["sample", str(digits_run), "--n", "3", "--nfe", "2", "--device", "cpu", "--nproc", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "diffx_cli", *line, "--out", "s"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "3 samples in 1 batch for 2 processes: a smaller --batch-size" in done.stderr
    assert len(list((tmp_path / "s" / "images").iterdir())) == 3


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def test_a_terminal_has_a_bar_of_samples():
    terminal = Terminal()
    advance = Advance(40, 8, several=True, stream=terminal)
    with advance.shown():
        advance.within(16, 0.5)
        advance.reached(24)
    assert "24/40" in terminal.getvalue()
    assert "8/40" in terminal.getvalue()
    assert "samples/s" not in terminal.getvalue()
