"""The profiles of power averages, p(t) = (gamma + 1) t^gamma / n^(gamma + 1) for t from 0 to n.

A combination of averages has the same combination of profiles. That nearest to a wanted profile q
in the mean square over t, sum_i x_i p_i with sum_i x_i = 1, has the weights of

    | A  1 | | x |   | b |        A_ij = int p_i p_j dt,  b_i = int p_i q dt
    | 1' 0 | | m | = | 1 |

The constraint is ours: what does not change in training then comes out as it is, and drifting
weights several times nearer to what they should be, at no cost in distance worth mentioning.

References:
    Karras et al., 2024, Analyzing and Improving the Training Dynamics of Diffusion Models
    (arXiv:2312.02696), appendix C.
"""

from collections.abc import Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray


def exponent(sigma_rel: float) -> float:
    """The gamma of a relative width s: s^2 = (gamma + 1) / ((gamma + 2)^2 (gamma + 3)).

    With u = gamma + 2 that is u^3 + u^2 - u / s^2 + 1 / s^2 = 0, whose largest root is wanted.
    """
    inverse = sigma_rel**-2
    return float(np.roots([1.0, 1.0, -inverse, inverse]).real.max()) - 2


@frozen
class Profile:
    """How much each step counts in an average.

    Args:
        step: the last one.
        gamma: exponent.
    """

    step: int
    gamma: float

    def dot(self, other: "Profile") -> float:
        """The integral of the product of two profiles."""
        early, late = sorted((self, other), key=lambda one: one.step)
        factor = (early.gamma + 1) * (late.gamma + 1) / (early.gamma + late.gamma + 1)
        return float(factor * (early.step / late.step) ** late.gamma / late.step)


@frozen(eq=False)
class Fit:
    """A combination of profiles.

    Args:
        weights: of each profile; they add up to one.
        error: distance to the wanted profile in units of that one's length, by the root of the mean
            square over t.
    """

    weights: NDArray[np.float64]
    error: float


def fit(profiles: Sequence[Profile], wanted: Profile) -> Fit:
    """The combination of profiles that is nearest to a wanted one."""
    n = len(profiles)
    products = np.array([[one.dot(other) for other in profiles] for one in profiles])
    targets, length = np.array([one.dot(wanted) for one in profiles]), wanted.dot(wanted)
    system = np.zeros((n + 1, n + 1))
    system[:n, :n], system[:n, n], system[n, :n] = products / length, 1, 1
    # Profiles of neighbouring steps are nearly the same: where two cannot be told apart in float64,
    # the shortest of the solutions is taken.
    scale = np.append(1 / np.sqrt(np.diag(products) / length), 1)
    scaled = system * scale[:, None] * scale
    solution = np.linalg.lstsq(scaled, np.append(targets / length, 1) * scale, rcond=None)[0]
    weights = (solution * scale)[:n]
    weights /= weights.sum()
    square = 1 - 2 * weights @ targets / length + weights @ products @ weights / length
    return Fit(weights, float(np.sqrt(max(square, 0.0))))
