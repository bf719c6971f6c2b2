"""The network as an ONNX file, which runs where there is no torch."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffx_cli.export.subject import Subject
from diffx_cli.export.traced import TRACED, Inputs, checked, described, free, quiet, traced
from diffx_core.errors import ComponentError, ConfigError, reason

PROGRAM = "model.onnx"
OUTPUT = "output"
"""What the file calls what the network says."""
TOLERANCE = 1e-4
"""Of the largest number that the network says: other kernels than torch's add up float32."""
LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
MOST = 1_500_000_000
"""Bytes of weights in the file itself, which cannot have 2 GiB; more are in one beside it."""


def export(subject: Subject, folder: Path) -> dict[str, Any]:
    """Write the file, and hold what onnxruntime makes of it against the network.

    Raises:
        ConfigError: the libraries are not installed.
        ComponentError: the network cannot be made a program, or the program says something else.
    """
    require_libraries()
    inputs = subject.inputs(TRACED)
    size = sum(one.nbytes for one in subject.weights().values())
    try:
        with quiet(), torch.no_grad():
            torch.onnx.export(
                traced(subject, inputs),
                (),
                folder / PROGRAM,
                dynamic_shapes={name: dict(enumerate(free(name))) for name in inputs},
                output_names=[OUTPUT],
                dynamo=True,
                external_data=size > MOST,
            )
            program = _opened(folder / PROGRAM)
    except OSError:
        raise
    except Exception as error:  # torch raises what it likes
        raise ComponentError(
            "backbone", f"{subject.label} cannot be made an ONNX program: {reason(error)}"
        ) from error
    return {
        "inputs": described(inputs),
        "output": OUTPUT,
        "error": checked(subject, program, TOLERANCE),
        "tolerance": TOLERANCE,
    }


def require_libraries() -> None:
    """Refuse where what makes the file is not installed.

    Raises:
        ConfigError: some of it is not.
    """
    if missing := [one for one in LIBRARIES if find_spec(one) is None]:
        raise ConfigError(
            f"--format onnx: needs {', '.join(missing)}: pip install 'diffx-cli[onnx]'"
        )


def _opened(file: Path) -> Callable[[Inputs], Tensor]:
    """What onnxruntime makes of a file, on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def program(told: Inputs) -> Tensor:
        (said,) = session.run([OUTPUT], {name: one.numpy() for name, one in told.items()})
        return torch.from_numpy(said)

    return program
