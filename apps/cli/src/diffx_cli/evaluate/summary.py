"""A figure of several repeats, as JSON has it."""

import math
from typing import Any


def summary(values: list[float]) -> dict[str, Any]:
    """Mean, and standard deviation where there are several."""
    mean = math.fsum(values) / len(values)
    spread = None
    if len(values) > 1:
        spread = math.sqrt(math.fsum((one - mean) ** 2 for one in values) / (len(values) - 1))
    return {"mean": mean, "spread": spread, "values": values}


def shown(facts: dict[str, Any]) -> str:
    """The same for people."""
    spread = facts["spread"]
    return f"{facts['mean']:.4g}" + ("" if spread is None else f" +- {spread:.2g}")
