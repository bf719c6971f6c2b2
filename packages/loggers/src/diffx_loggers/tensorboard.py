"""Event files for TensorBoard: `tensorboard --logdir RUN/tensorboard`."""

import json
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from attrs import define, field
from torch import Tensor

from diffx_core import Logger, require_library
from diffx_loggers.sheet import sheet

Writer: TypeAlias = Any  # torch does not type it, and it is imported when a run starts


@define(kw_only=True)
class TensorBoard(Logger):
    """Event files for TensorBoard, in `tensorboard` in the folder of the run."""

    _writer: Writer | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        require_library("tensorboard", "diffx-loggers[tensorboard]")

    def start(self, folder: Path, config: Mapping[str, Any], step: int) -> None:
        """Open a new file of events, which hides those after the step."""
        from torch.utils.tensorboard import SummaryWriter

        others = threading.enumerate()
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
        _hush({one for one in threading.enumerate() if one not in others})
        text = json.dumps(config, indent=4, default=str)
        self.writer.add_text("config", f"    {text}".replace("\n", "\n    "), step)

    @property
    def writer(self) -> Writer:
        """The open file."""
        assert self._writer is not None, "it has not been started"
        return self._writer

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """One point in each curve."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def images(self, step: int, images: Tensor) -> None:
        """All of them in one."""
        self.writer.add_image("samples", sheet(images), step, dataformats="HWC")
        self.writer.flush()

    def finish(self, status: str) -> None:
        """Close the file."""
        self.writer.add_text("status", status)
        self.writer.close()


def _hush(threads: Collection[threading.Thread]) -> None:
    """Print no traceback of these threads: what they fail of is raised by the next figure, too."""
    usual = threading.excepthook

    def hook(failure: threading.ExceptHookArgs) -> None:
        if failure.thread not in threads:
            usual(failure)

    threading.excepthook = hook
