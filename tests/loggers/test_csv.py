"""The table: what is logged is there, and nothing of steps that are taken again."""

import resource

import pytest
import torch

from diffx_core import FINISHED
from diffx_loggers.csv_file import CsvFile


@pytest.fixture
def table(tmp_path):
    return tmp_path / "metrics.csv"


def started(folder, step=0):
    logger = CsvFile()
    logger.start(folder, {}, step)
    return logger


def test_each_step_is_a_row(tmp_path, table):
    logger = started(tmp_path)
    logger.scalars(10, {"loss": 0.5, "lr": 1e-4})
    logger.scalars(20, {"loss": 0.25, "lr": 1e-4})
    logger.finish(FINISHED)
    assert table.read_text() == "step,loss,lr\n10,0.5,0.0001\n20,0.25,0.0001\n"


def test_a_new_figure_is_a_new_column(tmp_path, table):
    logger = started(tmp_path)
    logger.scalars(1, {"loss": 0.5})
    logger.scalars(1, {"validation, loss": 0.75})
    logger.scalars(2, {"loss": 0.25})
    assert table.read_text() == 'step,loss,"validation, loss"\n1,0.5,0.75\n2,0.25,\n'


def test_what_is_logged_of_a_step_in_several_goes_is_one_row(tmp_path, table):
    logger = started(tmp_path)
    for step in (1, 2):
        logger.scalars(step, {"loss": step / 2})
        logger.scalars(step, {"held out": step / 4})
    logger.scalars(3, {"held out": 0.75})
    assert table.read_text() == "step,loss,held out\n1,0.5,0.25\n2,1.0,0.5\n3,,0.75\n"


def limit(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))


@pytest.mark.parametrize("room", [0, 3])
def test_a_full_disk_costs_the_rows_that_it_has_no_room_for(tmp_path, table, caplog, room):
    logger = started(tmp_path)
    logger.scalars(1, {"loss": 0.5})
    written = table.read_text()
    limit(len(written) + room)
    try:
        logger.scalars(2, {"loss": 0.25})
        logger.scalars(2, {"held out": 0.125})
        logger.scalars(3, {"loss": 0.25})
        assert table.read_text() == written
    finally:
        limit(resource.RLIM_INFINITY)
    logger.scalars(4, {"loss": 1.0})
    logger.scalars(5, {"loss": 2.0})
    assert table.read_text() == "step,loss,held out\n1,0.5,\n4,1.0,\n5,2.0,\n"
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == f"{table}: File too large; rows are lost until there is room"


def test_a_run_that_is_resumed_forgets_the_steps_that_it_takes_again(tmp_path, table):
    logger = started(tmp_path)
    for step in (1, 2, 3, 4):
        logger.scalars(step, {"loss": float(step)})
    again = started(tmp_path, step=2)
    again.scalars(3, {"loss": 0.5})
    assert table.read_text() == "step,loss\n1,1.0\n2,2.0\n3,0.5\n"


def test_a_new_run_in_the_folder_begins_a_new_table(tmp_path, table):
    started(tmp_path).scalars(1, {"old": 1.0})
    started(tmp_path).scalars(1, {"loss": 0.5})
    assert table.read_text() == "step,loss\n1,0.5\n"


def test_a_row_that_a_crash_cut_off_is_dropped(tmp_path, table):
    table.write_bytes(b"step,loss\n10,0.5\n20,0.2")
    started(tmp_path, step=20).scalars(30, {"loss": 0.125})
    assert table.read_text() == "step,loss\n10,0.5\n30,0.125\n"


def test_images_leave_it_as_it_is(tmp_path, table):
    logger = started(tmp_path)
    logger.images(1, torch.zeros(1, 1, 2, 2, dtype=torch.uint8))
    assert table.read_text() == "step\n"
