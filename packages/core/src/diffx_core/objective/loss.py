"""How errors count: functions from weighted residuals (B, *) to one loss (B,) for each example.

The residual is r = sqrt(w) dF, the error of the network's output with the weight inside, so that a
weighting means the same for every loss and every prediction.

Only the expected x0 is the optimum of l2. That of l1 is the median, that of huber lies in between;
both are the same for a sample that is a single point, and where data leave more than one
possibility, a likelihood or an SDE that takes the optimum for a score is biased. They are less
sensitive to outliers, and popular where a model is distilled.
"""

from collections.abc import Callable

from torch import Tensor

from diffx_core.options import LossName


def l2(residual: Tensor) -> Tensor:
    """The mean of r^2."""
    return residual.flatten(1).square().mean(1)


def l1(residual: Tensor) -> Tensor:
    """The mean of |r|."""
    return residual.flatten(1).abs().mean(1)


def huber(residual: Tensor, huber_scale: float) -> Tensor:
    """The pseudo-Huber loss sqrt(m + c^2) - c, m the mean of r^2: m / 2c if small, else sqrt(m).

    With the norm in place of the root mean square, c would be proportional to the square root of
    the dimension; both differ by that factor alone.

    References:
        Song & Dhariwal, Improved Consistency Training, 2023, arXiv:2310.14189, section 3.3.
    """
    mean = l2(residual)
    # mean / (root + c) is the same as root - c, without cancellation.
    return mean / ((mean + huber_scale**2).sqrt() + huber_scale)


LOSSES: dict[LossName, Callable[..., Tensor]] = {"l2": l2, "l1": l1, "huber": huber}
