"""What the parts of the program log while it runs, said as every other note is."""

import logging

from diffx_cli.line.console import note

OURS = ("diffx_core", "diffx_loggers")
"""Whose notes they are; what libraries log is their own affair."""


class _Notes(logging.Handler):
    """Says what is logged."""

    def emit(self, record: logging.LogRecord) -> None:
        note(self.format(record))


def heed() -> None:
    """Say what is logged from now on, once."""
    for name in OURS:
        log = logging.getLogger(name)
        if not any(isinstance(one, _Notes) for one in log.handlers):
            log.addHandler(_Notes(logging.WARNING))
