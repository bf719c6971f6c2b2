"""Weights & Biases, offline or online.

Offline nothing leaves the machine; `wandb sync RUN/wandb/offline-run-*` sends the run later.

Steps are logged as a figure of their own, `step`, over which the curves are drawn: W&B's counter
never goes back, as a run does that is resumed from its last checkpoint.
"""

import netrc
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from attrs import define, field
from attrs.validators import gt
from torch import Tensor

from diffx_core import FINISHED, ConfigError, Logger, require_library
from diffx_loggers.sheet import sheet

Run: TypeAlias = Any  # wandb is imported when a run starts

IDENTITY = "wandb-id"
"""The file with the name by which W&B knows a run, so that it goes on when it is resumed."""

KEYS = "WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"
"""Where the environment says who sends a run."""


@define(kw_only=True)
class Wandb(Logger):
    """Weights & Biases, in `wandb` in the folder of the run.

    Args:
        project: of W&B.
        entity: whose project it is; by default, that of the key.
        mode: offline keeps everything in the folder; online sends it to a server.
        timeout: seconds that the run waits for the server when it starts, and when it ends.
    """

    project: str = "diffx"
    entity: str | None = None
    mode: Literal["offline", "online"] = "offline"
    timeout: float = field(default=20.0, validator=gt(0))
    _run: Run | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        require_library("wandb", "diffx-loggers[wandb]")
        if self.mode == "online" and not _has_key():
            raise ConfigError("mode online needs a key: set WANDB_API_KEY, or run `wandb login`")

    def start(self, folder: Path, config: Mapping[str, Any], step: int) -> None:
        """Begin the run, or go on with it."""
        import wandb

        known = folder / IDENTITY
        if step == 0 or not known.exists():
            known.write_text(token_hex(8) + "\n", "utf-8")
        self._run = wandb.init(
            project=self.project,
            entity=self.entity,
            mode=self.mode,
            dir=folder,
            id=known.read_text("utf-8").strip(),
            name=folder.name,
            config=dict(config),
            resume="allow",
            settings=wandb.Settings(
                silent=True,
                console="off",
                init_timeout=self.timeout,
                finish_timeout=self.timeout,
                finish_timeout_raises=True,
            ),
        )
        self.run.define_metric("step", hidden=True)
        self.run.define_metric("*", step_metric="step")

    @property
    def run(self) -> Run:
        """The open run."""
        assert self._run is not None, "it has not been started"
        return self._run

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One point in each curve."""
        self.run.log({"step": step, **values})

    def images(self, step: int, images: Tensor) -> None:
        """All of them in one."""
        import wandb

        self.run.log({"step": step, "samples": wandb.Image(sheet(images))})

    def finish(self, status: str) -> None:
        """Close the run; one that ended early counts as failed."""
        self.run.summary["status"] = status
        self.run.finish(exit_code=0 if status == FINISHED else 1)


def _has_key() -> bool:
    """Whether a key is where W&B looks for one; where there is none, it would ask for it."""
    if any(os.environ.get(name) for name in KEYS):
        return True
    import wandb

    known = wandb.setup().settings
    place = os.environ.get("NETRC")
    files = [Path(place)] if place else [Path.home() / name for name in (".netrc", "_netrc")]
    for file in files:
        with suppress(OSError, netrc.NetrcParseError):
            if netrc.netrc(file).authenticators(urlsplit(known.base_url).netloc):
                return True
    return bool(known.api_key)
