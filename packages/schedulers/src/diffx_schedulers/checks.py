"""Checks of single options that several processes share. NaN passes none of them."""

import math
from collections.abc import Callable
from typing import Any

from attrs import Attribute
from attrs.validators import and_, ge, gt, le, lt

POSITIVE: Callable[[Any, "Attribute[float]", float], Any] = and_(gt(0), lt(math.inf))
LEVEL: Callable[[Any, "Attribute[float]", float], Any] = and_(ge(-100), le(100))
"""A log-SNR: beyond e^50 to one, data and noise do not meet in any float32."""
RATIO: Callable[[Any, "Attribute[float]", float], Any] = and_(
    gt(0), ge(math.exp(-50)), le(math.exp(50))
)
"""Of noise to data, for the same reason."""
