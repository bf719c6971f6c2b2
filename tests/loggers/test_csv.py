"""The table: what is logged is there, and nothing of steps that are taken again."""

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
    assert table.read_text() == 'step,loss,"validation, loss"\n1,0.5,\n1,,0.75\n2,0.25,\n'


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
