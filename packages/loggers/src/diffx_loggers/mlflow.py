"""MLflow, in the folder of the run or on a server.

    mlflow ui --backend-store-uri sqlite:///RUN/mlflow/runs.db

shows what is in a folder. (MLflow refuses plain folders since 3.7; a database is one file.)
"""

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from attrs import define, field
from torch import Tensor

from diffx_core import FINISHED, Logger, require_library
from diffx_loggers.sheet import sheet

Client: TypeAlias = Any  # mlflow is imported when a run starts

IDENTITY = "mlflow-id"
"""The file with the name by which MLflow knows a run, so that it goes on when it is resumed."""


@define(kw_only=True)
class MLflow(Logger):
    """MLflow, in `mlflow` in the folder of the run or wherever it is told.

    Args:
        uri: of the tracking server, or of a database that several runs share.
        experiment: to which the run belongs.
    """

    uri: str | None = None
    experiment: str = "diffx"
    _client: Client | None = field(init=False, default=None)
    _run: str = field(init=False, default="")

    def __attrs_post_init__(self) -> None:
        for library in ("mlflow", *(["sqlalchemy", "alembic"] if self.uri is None else [])):
            require_library(library, "diffx-loggers[mlflow]")

    def start(self, folder: Path, config: Mapping[str, Any], step: int) -> None:
        """Begin the run, or go on with it."""
        from mlflow import MlflowClient

        # a server that is gone would hold up the run for minutes
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        # a new database tells of each of its tables
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
        place = folder.resolve() / "mlflow"
        if self.uri is None:
            place.mkdir(exist_ok=True)
        self._client = MlflowClient(tracking_uri=self.uri or f"sqlite:///{place / 'runs.db'}")
        files = None if self.uri else (place / "files").as_uri()
        known = folder / IDENTITY
        if step == 0 or not known.exists():
            found = self.client.get_experiment_by_name(self.experiment)
            run = self.client.create_run(
                found.experiment_id
                if found
                else self.client.create_experiment(self.experiment, files),
                run_name=folder.name,
            )
            known.write_text(run.info.run_id + "\n", "utf-8")
        self._run = known.read_text("utf-8").strip()
        self.client.update_run(self._run, status="RUNNING")
        self.client.log_dict(self._run, dict(config), "config.json")

    @property
    def client(self) -> Client:
        """The open client."""
        assert self._client is not None, "it has not been started"
        return self._client

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One point in each curve."""
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        points = [Metric(name, value, now, step) for name, value in values.items()]
        self.client.log_batch(self._run, metrics=points)

    def images(self, step: int, images: Tensor) -> None:
        """All of them in one, as a file of the run."""
        self.client.log_image(self._run, sheet(images), f"samples/step-{step:08d}.png")

    def finish(self, status: str) -> None:
        """Close the run; one that ended early counts as killed."""
        self.client.set_tag(self._run, "status", status)
        self.client.set_terminated(self._run, "FINISHED" if status == FINISHED else "KILLED")
