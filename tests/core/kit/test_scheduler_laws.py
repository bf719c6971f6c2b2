"""The laws find what they are there to find: each broken process breaks the law that it should."""

import pytest
import torch
from attrs import frozen

from diffx_core.testing import SCHEDULER_LAWS
from diffx_core.testing.oracle import ReferenceVE, ReferenceVP


@frozen
class VarianceForDeviation(ReferenceVP):
    """The classic bug: the variance where the standard deviation should be, with the old SDE."""

    def sigma(self, t):
        return -(-(0.1 * t + 9.95 * t**2)).expm1()

    def drift(self, t):
        return -(0.1 + 19.9 * t) / 2

    def diffusion(self, t):
        return (0.1 + 19.9 * t).sqrt()


@frozen
class RisingSNR(ReferenceVE):
    def sigma(self, t):
        return 50 * (1 / 5000) ** t


@frozen
class WrongLogSNR(ReferenceVP):
    def log_snr(self, t):
        return super().log_snr(t) / 2


@frozen
class WrongInverse(ReferenceVP):
    def time_of(self, log_snr):
        return super().time_of(log_snr) + 1e-6


@frozen
class UnboundedInverse(ReferenceVP):
    def time_of(self, log_snr):
        b = (-log_snr).exp().log1p()
        return 2 * b / (0.1 + (0.01 + 39.8 * b).sqrt())


@frozen
class WrongRate(ReferenceVP):
    def sigma_rate(self, t):
        return super().sigma_rate(t) * (1 + 1e-6)


@frozen
class WrongDrift(ReferenceVP):
    def drift(self, t):
        return super().drift(t) * (1 + 1e-5)


@frozen
class WrongDiffusion(ReferenceVE):
    def diffusion(self, t):
        return super().diffusion(t) * (1 + 1e-5)


@frozen
class WrongKernel(ReferenceVP):
    def kernel(self, s, t):
        scale, std = super().kernel(s, t)
        return scale, std * (1 + 1e-5)


@frozen
class InfiniteAtTheEnd(ReferenceVP):
    def sigma(self, t):
        return super().sigma(t) / (1 - t)


@frozen
class CancelsInSinglePrecision(ReferenceVP):
    def sigma(self, t):
        return (1 - (-(0.1 * t + 9.95 * t**2)).exp()).sqrt()


@frozen
class SilentLabel(ReferenceVP):
    def noise_label(self, t):
        return torch.zeros_like(t)


@frozen
class UnboundedLabel(ReferenceVP):
    def noise_label(self, t):
        return 1e6 * t


BROKEN = [
    (VarianceForDeviation(), "drift and diffusion follow from alpha and sigma"),
    (VarianceForDeviation(), "the SDE reproduces the marginals"),
    (RisingSNR(), "the signal-to-noise ratio falls strictly"),
    (WrongLogSNR(), "log_snr is log(alpha^2 / sigma^2)"),
    (WrongInverse(), "time_of inverts log_snr"),
    (UnboundedInverse(), "time_of stays within the process"),
    (WrongRate(), "rates are the derivatives"),
    (WrongDrift(), "drift and diffusion follow from alpha and sigma"),
    (WrongDrift(), "the SDE reproduces the marginals"),
    (WrongDiffusion(), "drift and diffusion follow from alpha and sigma"),
    (WrongDiffusion(), "the SDE reproduces the marginals"),
    (WrongKernel(), "kernels carry the marginals and form a semigroup"),
    (InfiniteAtTheEnd(), "alpha and sigma are finite at both ends"),
    (CancelsInSinglePrecision(), "float32 agrees with float64"),
    (SilentLabel(), "the noise label tells the noise level"),
    (UnboundedLabel(), "the noise label tells the noise level"),
]
LAWS = {law.name: law for law in SCHEDULER_LAWS}


@pytest.mark.parametrize(
    ("scheduler", "law"), BROKEN, ids=[f"{type(s).__name__}: {law}" for s, law in BROKEN]
)
def test_a_broken_process_breaks_the_law(scheduler, law):
    with pytest.raises(AssertionError, match=type(scheduler).__name__):
        LAWS[law].check(scheduler)


def test_every_law_is_broken_by_something():
    assert {law for _, law in BROKEN} == set(LAWS)


@pytest.mark.parametrize("law", SCHEDULER_LAWS, ids=str)
@pytest.mark.parametrize("scheduler", [ReferenceVP(), ReferenceVE()], ids=["vp", "ve"])
def test_derived_quantities_alone_obey_every_law(scheduler, law):
    assert law.check(scheduler).holds
