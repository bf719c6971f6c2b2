"""The Inception score: whether each example is clearly of a class, and all classes are there."""

from collections.abc import Mapping
from typing import ClassVar

from attrs import frozen
from torch import Tensor

from diffx_core import INCEPTION, Metric, Reads


@frozen(kw_only=True)
class InceptionScore(Metric):
    """exp of the mutual information of example and class, by a classifier: 1 to the classes.

    All examples are taken at once; the literature takes the mean of ten parts, which is a little
    smaller. The real examples are not looked at.

    References:
        Salimans et al., Improved Techniques for Training GANs, 2016, arXiv:1606.03498.
    """

    figures: ClassVar[tuple[str, ...]] = ("IS",)
    lower_is_better: ClassVar[bool] = False
    reads: ClassVar[Reads] = "logits"

    def measure(self, made: Tensor, real: Tensor, *, seed: int) -> Mapping[str, float]:
        """The score of class logits (N, K)."""
        del seed  # nothing is drawn
        self.require(len(made), len(real))
        log_p = made.double().log_softmax(1)
        p = log_p.exp()
        log_mean = p.mean(0).clamp_min(1e-300).log()
        return {"IS": (p * (log_p - log_mean)).sum(1).mean().exp().item()}

    def called(self, figure: str, features: str) -> str:
        """IS by the network that it is named after."""
        return figure if features == INCEPTION else super().called(figure, features)
