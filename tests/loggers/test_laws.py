"""Our loggers obey the laws of loggers."""

import pytest

from diffx_core.testing import LoggerSuite
from diffx_loggers.csv_file import CsvFile
from diffx_loggers.mlflow import MLflow
from diffx_loggers.tensorboard import TensorBoard
from diffx_loggers.wandb import Wandb


class TestCsv(LoggerSuite):
    def component(self):
        return CsvFile()


class TestTensorBoard(LoggerSuite):
    def component(self):
        pytest.importorskip("tensorboard")
        return TensorBoard()


@pytest.mark.slow
class TestWandb(LoggerSuite):
    def component(self):
        pytest.importorskip("wandb")
        return Wandb()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # it calls its database in ways that are going out of use
class TestMLflow(LoggerSuite):
    def component(self):
        pytest.importorskip("mlflow")
        return MLflow()
