"""The program in several processes: one folder, one voice, one exit code."""

import json

import pytest
import torch
from safetensors.torch import load_file

from diffx_core.engine.layout import checkpoints, step_of
from programs import differ, fail, fill, run, see_another, terminate
from ranked import values

POINTS = ["--dataset", "toy2d", "--backbone", "mlp", "--backbone.width", "16"]
IMAGES = ["--dataset", "digits", "--backbone", "dit", "--backbone.width", "16"]
SMALL = ["--train.batch_size", "6", "--train.steps", "9", "--train.log_every", "1"]
SHOWS = ["--preview.every", "2", "--preview.n", "2", "--preview.nfe", "2"]
LOOKS = ["--validate.every", "2", "--validate.examples", "6"]
COMMAND = ["train", *SMALL, "--device", "cpu", "--out", "run"]


def steps_of(rows):
    return [row["step"] for row in map(json.loads, rows.splitlines()) if "loss" in row]


@pytest.mark.parametrize(
    ("rank", "moment", "options"),
    [
        (0, "step", POINTS),
        (1, "step", POINTS),
        (1, "look", [*POINTS, *LOOKS]),
        (0, "preview", [*IMAGES, *SHOWS]),
        (0, "save", [*POINTS, "--save.every", "3"]),
    ],
)
def test_one_that_is_told_to_end_ends_all_after_one_save(tmp_path, rank, moment, options):
    arguments = [*COMMAND, *options]
    found = values(2, run, arguments, tmp_path, rank, moment, terminate, timeout=None)
    assert [code for code, *_ in found] == [143, 143]
    (_, said, complained), (_, *other) = found
    newest, *older = checkpoints(tmp_path / "run")
    assert f"ended after step {step_of(newest)} of 9: SIGTERM" in said
    # a save that is under way when the signal comes is not the last one
    assert [step_of(one) for one in older] == [3] * (moment == "save" and step_of(newest) > 3)
    assert complained.endswith("diffx: error: stopped by SIGTERM\n")
    assert other == ["", ""]


@pytest.mark.parametrize("sharded", [False, True], ids=["copied", "sharded"])
def test_a_picture_is_left_undone_for_one_that_does_not_show_it(tmp_path, sharded):
    share = ["--train.shard", "true"] if sharded else []
    arguments = [*COMMAND, *IMAGES, *SHOWS[:-1], "20", *share]
    # the first two agreements are about steps, the next ones about the calls of the network
    found = values(2, run, arguments, tmp_path, 1, "agreement", terminate, 3, timeout=None)
    assert [code for code, *_ in found] == [143, 143]
    assert "ended after step 2 of 9: SIGTERM" in found[0][1]
    assert not [*(tmp_path / "run").glob("samples/*.png")]


def test_the_same_command_goes_on(tmp_path):
    arguments = [*COMMAND, *POINTS]
    values(2, run, arguments, tmp_path, 1, "step", terminate, timeout=None)
    found = values(2, run, arguments, tmp_path, None, None, None, timeout=None)
    assert [code for code, *_ in found] == [0, 0]
    assert found[0][1].startswith("trained: run\n")
    assert steps_of((tmp_path / "run" / "metrics.jsonl").read_text()) == list(range(1, 10))


def test_a_full_disk_ends_all_with_one_complaint(tmp_path):
    arguments = [*COMMAND, *POINTS]
    found = values(2, run, arguments, tmp_path, 0, "save", fill, timeout=None)
    assert [code for code, *_ in found] == [5, 5]
    assert found[0][2].count("diffx: error: ") == 1
    assert found[0][2].endswith(": No space left on device\n")
    assert found[1][1:] == ("", "")


@pytest.mark.parametrize("rank", [0, 1])
def test_whoever_fails_says_so_alone(tmp_path, rank):
    arguments = [*COMMAND, *POINTS]
    found = values(2, run, arguments, tmp_path, rank, "step", fail, timeout=None)
    assert [code for code, *_ in found] == [1, 1]
    assert "internal error: RuntimeError: no such product" in found[rank][2]
    assert "error" not in found[1 - rank][2]
    # torchrun ends its summary with what is written there
    assert "no such product" in (tmp_path / f"error-{rank}.json").read_text()
    assert not (tmp_path / f"error-{1 - rank}.json").exists()


def test_a_folder_that_is_taken_is_one_complaint(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("")
    found = values(2, run, [*COMMAND, *POINTS], tmp_path, None, None, None, timeout=None)
    assert [code for code, *_ in found] == [2, 2]
    assert sorted("is not empty" in complained for *_, complained in found) == [False, True]


def test_an_error_of_all_is_one_complaint(tmp_path):
    arguments = [*COMMAND, *POINTS, "--objective.weighting", "likelihood", "--scheduler", "cosine"]
    found = values(2, run, arguments, tmp_path, None, None, None, timeout=None)
    assert [code for code, *_ in found] == [2, 2]
    assert sum("error" in complained for *_, complained in found) == 1


def test_processes_that_were_given_different_options_do_not_begin(tmp_path):
    found = values(2, differ, [*COMMAND, *POINTS], tmp_path, timeout=None)
    assert [code for code, *_ in found] == [5, 5]
    assert sum("do not have the same configuration" in one for *_, one in found) == 1
    assert not (tmp_path / "run").exists()


def test_nothing_is_left_behind_before_all_know_where_to_go_on(tmp_path):
    made = [*COMMAND, *POINTS, "--save.every", "3", "--save.keep", "9"]
    values(1, run, made, tmp_path, None, None, None, timeout=None)
    before = checkpoints(tmp_path / "run")
    arguments = ["train", "--resume", "run/checkpoints/step-00000003"]
    found = values(2, see_another, arguments, tmp_path, before[0], timeout=None)
    assert [code for code, *_ in found] == [5, 5]
    assert sum("do not have the same checkpoint" in one for *_, one in found) == 1
    assert [step_of(one) for one in checkpoints(tmp_path / "run")] == [9, 6, 3]


def test_samples_are_the_same_however_many_processes_draw_them(tmp_path):
    train = [*COMMAND, *POINTS]
    values(1, run, train, tmp_path, None, None, None, timeout=None)
    for world in (1, 2, 4):
        draw = [
            "sample",
            "run",
            "--n",
            "3",
            "--nfe",
            "4",
            "--device",
            "cpu",
            "--out",
            f"by-{world}",
        ]
        found = values(world, run, draw, tmp_path, None, None, None, timeout=None)
        assert [code for code, *_ in found] == [0] * world
        assert [bool(said) for _, said, _ in found] == [True] + [False] * (world - 1)
    alone, *others = (
        load_file(tmp_path / f"by-{world}" / "samples.safetensors") for world in (1, 2, 4)
    )
    for one in others:
        torch.testing.assert_close(one, alone)
    (points,) = (one for one in alone.values() if one.ndim == 2)
    assert len(points.unique(dim=0)) == 3
