"""The Frechet distance of two sets of features, each taken for a Gaussian.

    d^2 = |m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr (S1^(1/2) S2 S1^(1/2))^(1/2)

The last trace is a sum of square roots of eigenvalues of a symmetric matrix, so no square root of a
general matrix is taken, which would be complex wherever rounding makes it so.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from attrs import frozen
from torch import Tensor

from diffx_core import INCEPTION, Metric


def frechet_distance(mean: Tensor, cov: Tensor, other_mean: Tensor, other_cov: Tensor) -> float:
    """The squared distance of two Gaussians; means (D,), covariances (D, D), float64."""
    values, vectors = torch.linalg.eigh(cov)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    inner = root @ other_cov @ root
    cross = torch.linalg.eigvalsh((inner + inner.T) / 2).clamp_min(0).sqrt().sum()
    apart = (mean - other_mean).square().sum() + cov.trace() + other_cov.trace() - 2 * cross
    return max(0.0, float(apart))


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and unbiased covariance (D, D) of features (N, D), in float64."""
    features = features.double()
    return features.mean(0), torch.atleast_2d(torch.cov(features.T))


@frozen(kw_only=True)
class Frechet(Metric):
    """The Frechet distance of features, squared, as it is always reported.

    It is too large by about 1/N for N examples: compare numbers of equal N alone.

    References:
        Heusel et al., GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
            Equilibrium, 2017, arXiv:1706.08500; Chong and Forsyth, Effectively Unbiased FID and
            Inception Score, 2019, arXiv:1911.07023, on its bias.
    """

    figures: ClassVar[tuple[str, ...]] = ("FD",)
    lower_is_better: ClassVar[bool] = True

    def measure(self, made: Tensor, real: Tensor, *, seed: int) -> Mapping[str, float]:
        """The distance of features (N, D) from others (M, D)."""
        del seed  # nothing is drawn
        self.require(len(made), len(real))
        return {"FD": frechet_distance(*moments(made), *moments(real))}

    def called(self, figure: str, features: str) -> str:
        """FID on the features by which the literature means it, and on no others."""
        return "FID" if features == INCEPTION else super().called(figure, features)


@frozen(kw_only=True)
class FrechetDino(Frechet):
    """The Frechet distance of DINOv2 features, which follows human judgement more than Inception.

    References:
        Stein et al., Exposing Flaws of Generative Model Evaluation Metrics, 2023,
            arXiv:2306.04675.
    """

    features: ClassVar[str | None] = "dinov2"
