"""What a launcher starts again goes on with its own run, and with nobody else's."""

import json

from diffx_core.engine.layout import checkpoints, step_of
from programs import fail, launched, terminate
from ranked import values

COMMAND = ["train", "--dataset", "toy2d", "--backbone", "mlp", "--backbone.width", "16"]
OPTIONS = ["--train.batch_size", "6", "--train.log_every", "1", "--device", "cpu"]
NUMBERED = "{:05d}-vpsde-mlp-toy2d"


def attempt(folder, by, *options, steps=9, rank=None, moment="step", happen=None, first=0):
    arguments = [*COMMAND, *OPTIONS, "--train.steps", str(steps), *options]
    found = values(2, launched, by, arguments, folder, rank, moment, happen, first, timeout=None)
    return [code for code, *_ in found]


def saved(run):
    return [step_of(one) for one in checkpoints(run)]


def test_a_run_in_a_numbered_folder_is_the_one_that_goes_on(tmp_path):
    assert attempt(tmp_path, "one", steps=3) == [0, 0]
    assert attempt(tmp_path, "two", rank=1, happen=fail, first=2) == [1, 1]
    assert attempt(tmp_path, "two") == [0, 0]
    assert attempt(tmp_path, "three") == [0, 0]
    runs = [tmp_path / "runs" / NUMBERED.format(number) for number in range(3)]
    assert sorted((tmp_path / "runs").iterdir()) == runs
    assert [saved(run) for run in runs] == [[3], [9], [9]]


def test_a_run_that_was_to_be_replaced_is_replaced_once(tmp_path):
    there = ["--out", "run", "--overwrite", "--save.keep", "9"]
    assert attempt(tmp_path, "one", *there) == [0, 0]
    assert attempt(tmp_path, "two", *there, rank=1, happen=terminate, first=3) == [143, 143]
    assert attempt(tmp_path, "two", *there) == [0, 0]
    newest, step = saved(tmp_path / "run")
    assert newest == 9 > step
    assert attempt(tmp_path, "three", *there) == [0, 0]
    assert saved(tmp_path / "run") == [9]


def test_a_run_says_by_how_many_processes_it_is_made(tmp_path):
    assert attempt(tmp_path, "one", "--out", "run") == [0, 0]
    facts = json.loads((tmp_path / "run" / "env.json").read_text())
    assert (facts["processes"], facts["device"]["name"]) == (2, "cpu")
