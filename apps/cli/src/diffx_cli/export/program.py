"""The network as a program of torch.export, which runs where diffx is not installed."""

from pathlib import Path
from typing import Any

import torch

from diffx_cli.export.subject import Subject
from diffx_cli.export.traced import TRACED, checked, described, quiet, traced
from diffx_core.errors import ComponentError, reason

PROGRAM = "model.pt2"
TOLERANCE = 1e-5
"""Of the largest number that the network says: what float32 may differ by in another order."""


def export(subject: Subject, folder: Path) -> dict[str, Any]:
    """Write the program, and hold what was written against the network.

    Raises:
        ComponentError: the network cannot be made a program, or the program says something else.
    """
    inputs = subject.inputs(TRACED)
    try:
        with quiet(), torch.no_grad():
            torch.export.save(traced(subject, inputs), folder / PROGRAM)
            program = torch.export.load(folder / PROGRAM).module()
    except OSError:
        raise
    except Exception as error:  # torch raises what it likes
        raise ComponentError(
            "backbone", f"{subject.label} cannot be made a program: {reason(error)}"
        ) from error
    return {
        "inputs": described(inputs),
        "error": checked(subject, lambda told: program(**told), TOLERANCE),
        "tolerance": TOLERANCE,
    }
