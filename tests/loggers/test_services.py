"""TensorBoard, W&B and MLflow: what was logged is read back with their own libraries."""

import importlib
import sys
from importlib.util import find_spec
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch

from diffx_core import FINISHED, ConfigError, require_library
from diffx_core.engine.events import Finished, Started
from diffx_core.engine.observers import Logged, Told
from diffx_loggers.mlflow import MLflow
from diffx_loggers.tensorboard import TensorBoard
from diffx_loggers.wandb import Wandb

IMAGES = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).view(2, 3, 4, 4)
CLASSES = {"tensorboard": TensorBoard, "wandb": Wandb, "mlflow": MLflow}


def log(logger, folder, *, start, steps, status=FINISHED):
    logger.start(folder, {"train": {"lr": 0.5}}, start)
    for step in steps:
        logger.scalars(step, {"loss": step / 4 + start})
    logger.images(steps[-1], IMAGES)
    logger.finish(status)


def test_tensorboard_shows_the_steps_that_counted(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log(TensorBoard(), tmp_path, start=0, steps=[1, 2, 3, 4])
    log(TensorBoard(), tmp_path, start=2, steps=[3, 4])
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    shown = [(one.step, one.value) for one in events.Scalars("loss")]
    assert shown == [(1, 0.25), (2, 0.5), (3, 2.75), (4, 3.0)]
    (image,) = events.Images("samples")
    assert (image.step, image.width, image.height) == (4, 2 * 4 + 3 * 2, 4 + 2 * 2)


def test_tensorboard_shows_only_the_new_run_of_a_folder(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log(TensorBoard(), tmp_path, start=0, steps=[1, 2, 3])
    log(TensorBoard(), tmp_path, start=0, steps=[2])
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(one.step, one.value) for one in events.Scalars("loss")] == [(2, 0.5)]


@pytest.mark.slow
def test_wandb_keeps_the_run_in_its_folder_and_goes_on_with_it(tmp_path):
    pytest.importorskip("wandb")
    log(Wandb(), tmp_path, start=0, steps=[1, 2])
    name = (tmp_path / "wandb-id").read_text().strip()
    log(Wandb(), tmp_path, start=2, steps=[3], status="stopped")
    kept = [*tmp_path.glob("wandb/offline-run-*/run-*.wandb")]
    assert kept
    assert {file.name for file in kept} == {f"run-{name}.wandb"}
    assert any(b"loss" in file.read_bytes() for file in kept)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # it calls its database in ways that are going out of use
def test_mlflow_has_the_figures_and_how_the_run_ended(tmp_path):
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    log(MLflow(), tmp_path, start=0, steps=[1, 2], status="stopped")
    log(MLflow(), tmp_path, start=2, steps=[3])
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow/runs.db")
    (run,) = client.search_runs([client.get_experiment_by_name("diffx").experiment_id])
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(one.step, one.value) for one in history] == [(1, 0.25), (2, 0.5), (3, 2.75)]
    assert (run.info.status, run.data.tags["status"]) == ("FINISHED", FINISHED)
    files = {file.name for file in tmp_path.glob("mlflow/files/**/*") if file.is_file()}
    assert files == {"config.json", "step-00000002.png", "step-00000003.png"}


GONE = "http://127.0.0.1:9"
"""Nobody listens there."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what a library says of a lost connection is its own affair
@pytest.mark.parametrize("module", ["wandb", "mlflow"])
def test_a_server_that_is_gone_costs_the_logger_and_not_the_run(module, tmp_path, monkeypatch):
    pytest.importorskip(module)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_BASE_URL", GONE)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    logger = Wandb(mode="online", timeout=1) if module == "wandb" else MLflow(uri=GONE)
    heard, notes = [], []
    told = Told([Logged(logger, f"logger {module}", tmp_path), heard.append], notes.append)
    told(Started(10, 8, 100))
    told(Finished(10, 1.0))
    assert len(heard) == 2
    (note,) = notes
    assert note.startswith(f"logger {module} is switched off, the run goes on: ")


@pytest.fixture
def nobody(tmp_path, monkeypatch):
    """Whoever has no key: W&B would ask for one on a terminal."""
    if find_spec("wandb"):
        importlib.import_module("wandb").teardown()  # it remembers the keys of other tests
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_wandb_online_without_a_key_is_refused_before_training(nobody):
    pytest.importorskip("wandb")
    with pytest.raises(ConfigError, match="mode online needs a key: set WANDB_API_KEY"):
        Wandb(mode="online")


@pytest.mark.parametrize("name", [".netrc", "elsewhere"])
def test_wandb_online_takes_the_key_that_its_login_left(nobody, tmp_path, monkeypatch, name):
    wandb = pytest.importorskip("wandb")
    host = wandb.setup().settings.base_url.rpartition("/")[2]
    (tmp_path / name).write_text(f"machine {host} login user password {'0' * 40}\n")
    (tmp_path / name).chmod(0o600)
    if name == "elsewhere":
        monkeypatch.setenv("NETRC", str(tmp_path / name))
    assert Wandb(mode="online").mode == "online"


def test_wandb_waits_for_the_server_as_long_at_the_end_as_at_the_start(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    init = MagicMock()
    monkeypatch.setattr(wandb, "init", init)
    Wandb(timeout=3).start(tmp_path, {}, 0)
    settings = init.call_args.kwargs["settings"]
    assert (settings.init_timeout, settings.finish_timeout) == (3, 3)
    assert settings.finish_timeout_raises


@pytest.mark.parametrize("module", CLASSES)
def test_a_missing_library_is_named_with_the_command_that_installs_it(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"pip install 'diffx-loggers\[{module}\]'"):
        CLASSES[module]()


def test_a_folder_with_the_name_of_a_library_is_none(tmp_path, monkeypatch):
    (tmp_path / "runs_of_wandb").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    with pytest.raises(ConfigError, match="needs the library runs_of_wandb"):
        require_library("runs_of_wandb", "anything")


def test_the_sheet_has_every_image_in_its_place():
    from diffx_loggers.sheet import sheet

    page = sheet(IMAGES[:, :1])
    first, second = page[2:6, 2:6], page[2:6, 8:12]
    for found, image in ((first, IMAGES[0]), (second, IMAGES[1])):
        assert np.array_equal(found, image[:1].expand(3, -1, -1).permute(1, 2, 0).numpy())
    page[2:6, 2:6] = page[2:6, 8:12] = 255
    assert (page == 255).all()
