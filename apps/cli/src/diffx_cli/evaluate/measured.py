"""What a metric finds, or whose fault it is that it finds nothing."""

import math
from collections.abc import Mapping

from torch import Tensor

from diffx_cli.line.blame import told
from diffx_cli.line.request import Chosen
from diffx_core.errors import ComponentError, DiffxError
from diffx_core.metric import Metric


def measured(chosen: Chosen, made: Tensor, real: Tensor, seed: int) -> Mapping[str, float]:
    """Every figure that a metric declares, of what it reads of made examples and real ones.

    Raises:
        ComponentError: it fails, or finds other figures, or no numbers.
    """
    metric: Metric = chosen.build()
    try:
        found = metric.measure(made, real, seed=seed)
        numbers = {figure: float(one) for figure, one in found.items()}
    except DiffxError:
        raise
    except Exception as error:
        raise ComponentError("metric", f"{chosen.label}: {told(error)}") from error
    if set(numbers) != set(metric.figures):
        declared, others = ", ".join(metric.figures), ", ".join(numbers) or "nothing"
        problem = f"measured {others}, and declares {declared}"
        raise ComponentError("metric", f"{chosen.label}: {problem}")
    lost = [f"{figure} is {one}" for figure, one in numbers.items() if not math.isfinite(one)]
    if lost:
        raise ComponentError("metric", f"{chosen.label}: {', '.join(lost)}")
    return numbers
