"""What must hold of every logger: it writes down what it is given, and touches nothing else.

Each law runs a logger of its own, a copy of the one that is tested, in a folder that is new and
empty.
"""

import contextlib
import copy
import io
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from diffx_core.logger import FINISHED, Logger
from diffx_core.testing.dataset_laws import share_of
from diffx_core.testing.global_state import left_alone
from diffx_core.testing.law import Law, Measurement

CONFIG: dict[str, Any] = {
    "scheduler": {"name": "vpsde", "beta_max": 20.0},
    "train": {"steps": 30, "lr": 1e-4, "schedule": None, "compile": False},
    "sizes": [1, 2, 3],
    "seed": 0,
}


@frozen
class Trial:
    """A logger and where it works.

    Args:
        logger: it has not been started.
        folder: of the run.
        elsewhere: the working directory meanwhile; nothing belongs there.
    """

    logger: Logger
    folder: Path
    elsewhere: Path

    def start(self, step: int = 0) -> Logger:
        """A copy of the logger, started."""
        logger = copy.deepcopy(self.logger)
        logger.start(self.folder, copy.deepcopy(CONFIG), step)
        return logger


@contextlib.contextmanager
def trial(logger: Logger) -> Iterator[Trial]:
    """An empty folder for a run, and another one to be in."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder, elsewhere = Path(name) / "run", Path(name) / "elsewhere"
        folder.mkdir()
        elsewhere.mkdir()
        with contextlib.chdir(elsewhere):
            yield Trial(logger, folder, elsewhere)


def _pictures(channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (5, channels, 8, 6), generator=generator, dtype=torch.uint8)


def _whole_run(logger: Logger) -> None:
    for step in (10, 20):
        logger.scalars(step, {"loss": 1.0 / step, "lr": 1e-4})
    logger.images(20, _pictures())
    logger.finish(FINISHED)


def _law(run: Callable[[Trial], Measurement | None]) -> Callable[[Logger], Measurement]:
    """A law about what a run does; one that nothing is measured of holds unless it raises."""

    def measure(logger: Logger) -> Measurement:
        with trial(logger) as place:
            return run(place) or Measurement(0.0, 0.0)

    return measure


def _empty(place: Trial) -> None:
    place.start().finish(FINISHED)


def _given(place: Trial) -> Measurement:
    config, values, images = copy.deepcopy(CONFIG), {"loss": 1.0, "lr": 1e-4}, _pictures()
    logger = copy.deepcopy(place.logger)
    logger.start(place.folder, config, 0)
    logger.scalars(1, values)
    logger.images(1, images)
    logger.finish(FINISHED)
    same = torch.equal(images, _pictures()) and values == {"loss": 1.0, "lr": 1e-4}
    return share_of(not (same and config == CONFIG))


def _names(place: Trial) -> None:
    logger = place.start()
    logger.scalars(1, {"loss": 1.0})
    logger.scalars(2, {"loss": 1.0, "validation/loss": 2.0})
    logger.scalars(2, {"validation/log_snr_-4_to_-2.5": 2.0})
    logger.finish(FINISHED)


def _not_finite(place: Trial) -> None:
    logger = place.start()
    logger.scalars(1, {"loss": math.nan, "grad_norm": math.inf, "lr": -math.inf})
    logger.finish(FINISHED)


def _channels(place: Trial) -> None:
    logger = place.start()
    logger.images(1, _pictures(1))
    logger.images(2, _pictures(3))
    logger.images(3, _pictures(3)[:1])
    logger.finish(FINISHED)


def _resumed(place: Trial) -> Measurement:
    """How many bytes are lost of a run that goes on where it was; it may go back, too."""
    _whole_run(place.start())
    before = _bytes(place.folder)
    logger = place.start(step=20)
    logger.scalars(30, {"loss": 1.0 / 30})
    logger.finish(FINISHED)
    lost = max(0, before - _bytes(place.folder))
    _whole_run(place.start(step=5))
    return Measurement(lost, 0, f"bytes of {before} are lost")


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _ended(place: Trial) -> None:
    logger = place.start()
    logger.scalars(1, {"loss": 1.0})
    logger.finish("stopped by SIGTERM")


def _elsewhere(place: Trial) -> Measurement:
    _whole_run(place.start())
    outside = {*place.folder.parent.iterdir()} - {place.folder, place.elsewhere}
    found = sorted(path.name for path in (*outside, *place.elsewhere.iterdir()))
    moved = ["the working directory is another"] if Path.cwd() != place.elsewhere.resolve() else []
    return share_of(bool(found or moved), ", ".join(found + moved))


def _global_state(place: Trial) -> Measurement:
    return left_alone(lambda: _whole_run(place.start()))


def _silent(place: Trial) -> Measurement:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        _whole_run(place.start())
    return share_of(bool(said.getvalue()), said.getvalue()[:80])


LOGGER_LAWS: tuple[Law[Logger], ...] = (
    Law("a run of which nothing is logged can end", _law(_empty)),
    Law("what it is given is not changed", _law(_given)),
    Law("figures may have new names at any step", _law(_names)),
    Law("figures need not be finite", _law(_not_finite)),
    Law("images have one channel or three", _law(_channels)),
    Law("a run goes on in its folder", _law(_resumed)),
    Law("a run may end early", _law(_ended)),
    Law("nothing is written outside of the folder", _law(_elsewhere)),
    Law("global random numbers are left alone", _law(_global_state)),
    Law("nothing is printed to stdout", _law(_silent)),
)
