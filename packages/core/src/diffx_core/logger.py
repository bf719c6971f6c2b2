"""Where the figures of a run are written, besides the file of metrics that every run has.

A logger has its options from the moment it is made, and does nothing until the run starts.

    start, (scalars | images) ..., finish

A run that is resumed starts again in the same folder, at the step from which it goes on. Whatever
a logger raises switches it off, with one line; the run goes on.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor

from diffx_core.errors import ConfigError

FINISHED = "finished"
"""The status of a run that has taken all of its steps."""


class Logger(ABC):
    """Writes down figures and images of a run. Subclasses are attrs classes with their options."""

    @abstractmethod
    def start(self, folder: Path, config: Mapping[str, Any], step: int) -> None:
        """Get ready: the run is about to take its next step.

        Args:
            folder: of the run, and the only one that a logger writes to by itself.
            config: of the run, in JSON types.
            step: how many steps have been taken. What was logged after it is to be forgotten, as
                far as that is possible: the run takes these steps again.
        """

    @abstractmethod
    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Log figures.

        Args:
            step: how many steps have been taken.
            values: by name, which may have slashes; not all of them are finite.
        """

    @abstractmethod
    def images(self, step: int, images: Tensor) -> None:
        """Log samples.

        Args:
            step: how many steps have been taken.
            images: (B, C, H, W) bytes on the CPU, with one channel or three.
        """

    @abstractmethod
    def finish(self, status: str) -> None:
        """Close everything: the run has ended.

        Args:
            status: `FINISHED`, or why it ended before its last step.
        """


def require_library(module: str, install: str) -> None:
    """Refuse to be made without a library; it is looked for, not imported.

    Args:
        module: what would be imported.
        install: what pip would install.

    Raises:
        ConfigError: it is not there.
    """
    found = find_spec(module)
    if found is None or found.origin is None:  # a folder of that name is no library
        raise ConfigError(f"it needs the library {module}: pip install '{install}'")
