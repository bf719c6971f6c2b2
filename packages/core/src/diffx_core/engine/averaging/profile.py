"""The profiles of power averages: p(t) = (gamma + 1) t^gamma / n^(gamma + 1) for t up to n.

References:
    Karras et al., 2024, Analyzing and Improving the Training Dynamics of Diffusion Models
    (arXiv:2312.02696), appendix C.
"""

import numpy as np


def exponent(sigma_rel: float) -> float:
    """The gamma of a relative width s: s^2 = (gamma + 1) / ((gamma + 2)^2 (gamma + 3)).

    With u = gamma + 2 that is u^3 + u^2 - u / s^2 + 1 / s^2 = 0, whose largest root is wanted.
    """
    inverse = sigma_rel**-2
    return float(np.roots([1.0, 1.0, -inverse, inverse]).real.max()) - 2


def width(gamma: float) -> float:
    """The standard deviation of a profile, in units of n."""
    return float(((gamma + 1) / (gamma + 3)) ** 0.5 / (gamma + 2))
