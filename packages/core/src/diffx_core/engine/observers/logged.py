"""A logger as an observer of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define, field

from diffx_core.engine.events import Event, Finished, Sampled, Started, Stepped, Validated
from diffx_core.engine.observers.figures import Pace, of_step, of_validation
from diffx_core.logger import FINISHED, Logger


@define
class Logged:
    """Hands the figures and samples of a run to a logger.

    Args:
        logger: writes them.
        label: whose fault it is if that fails, such as ``logger csv (diffx-loggers 0.1.0)``.
        folder: of the run.
        config: of the run, in JSON types.
        every: steps between two that are logged. The first and the last always are.
    """

    logger: Logger
    label: str
    folder: Path
    config: Mapping[str, Any] = field(factory=dict)
    every: int = 10
    _pace: Pace = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._pace = Pace(every=self.every)

    def __call__(self, event: Event) -> None:
        """Log what the event tells."""
        self._pace.heard(event)
        match event:
            case Started():
                self.logger.start(self.folder, self.config, event.step)
            case Stepped() if self._pace.is_wanted(event):
                self.logger.scalars(event.step, of_step(event, self._pace))
            case Validated():
                self.logger.scalars(event.step, of_validation(event))
            case Sampled():
                self.logger.images(event.step, event.images)
            case Finished():
                self.logger.finish(event.reason or FINISHED)
            case _:
                pass
