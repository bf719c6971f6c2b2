"""Numbered folders: never shared, never reused."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from diffx_cli.output.folders import claim, newest_run
from diffx_core.errors import CheckpointError


def test_numbers_go_on_from_the_highest(tmp_path):
    (tmp_path / "00007-old").mkdir()
    (tmp_path / "notes").mkdir()
    assert claim(None, tmp_path, "new").name == "00008-new"


def test_two_processes_never_get_the_same_folder(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: claim(None, tmp_path / "runs", "run"), range(40)))
    assert len(set(folders)) == 40


def test_the_newest_run_is_the_highest_number_that_was_saved(tmp_path):
    for name, saved in (("00002-a", True), ("00010-b", True), ("00011-c", False), ("99-d", False)):
        (tmp_path / name).mkdir()
        if saved:
            (tmp_path / name / "latest").write_text("step-1")
    assert newest_run(tmp_path).name == "00010-b"


def test_no_run_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="diffx train"):
        newest_run(tmp_path / "runs")
