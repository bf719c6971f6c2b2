"""The laws find what they are there to find: each broken process breaks the law that it should."""

import pytest
import torch
from attrs import frozen

from diffx_core import Scheduler
from diffx_core.testing import REFERENCE_PROCESSES, SCHEDULER_LAWS
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVE, ReferenceVP
from diffx_core.testing.sde_laws import euler, integral
from diffx_core.testing.times import interior, intervals, kinks


@frozen
class Table(ReferenceVP):
    """Ten times with log(alpha) linear in between, so that drift and diffusion have jumps."""

    t_min = 0.0

    def grid(self):
        return torch.linspace(0.1, 1, 10, dtype=torch.float64)

    def log_alpha(self, t):
        known = torch.linspace(0, 1, 11, dtype=t.dtype)
        table = -(0.05 * known + 4.975 * known**2)
        cell = (t * 10).floor().long().clamp(0, 9)
        return table[cell] + (table[cell + 1] - table[cell]) * (t * 10 - cell)

    def alpha(self, t):
        return self.log_alpha(t).exp()

    def sigma(self, t):
        return (-(2 * self.log_alpha(t)).expm1()).sqrt()


@frozen
class Anchored(ReferenceVP):
    """A process that ends at noise about an image, with much of the difference left."""

    def sigma(self, t):
        return super().sigma(t) / 1000

    def anchor(self, cond):
        return cond.image


@frozen
class HeavyTailed(ReferenceFlow):
    """Noise with the tails of Student's law with three degrees of freedom."""

    def noise(self, source, shape, step):
        normal = source.normal(shape, step)
        others = source.normal((3,), step, substep=1)
        radius = others.square().mean(1).sqrt()
        return normal / radius.reshape(-1, *[1] * len(shape))

    def offers(self):
        return frozenset()


GOOD = [*REFERENCE_PROCESSES, Table(), Anchored(), HeavyTailed()]


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


@frozen
class HandsOutTheTime(ReferenceFlow):
    def sigma(self, t):
        return t


@frozen
class FlattensTime(ReferenceFlow):
    def alpha(self, t):
        return 1 - t.reshape(-1)


@frozen
class LooksAtAllTimes(ReferenceVE):
    def sigma_rate(self, t):
        return self.sigma(t) * (t.max() / t.max()) * t.numel()


@frozen
class ClampedLogSNR(ReferenceFlow):
    def log_snr(self, t):
        return super().log_snr(t).clamp(-80, 80)


@frozen
class WrongLogSNRRate(ReferenceVP):
    def log_snr_rate(self, t):
        return -super().log_snr_rate(t)


@frozen
class NegativeDiffusion(ReferenceVP):
    def diffusion(self, t):
        return -super().diffusion(t)


@frozen
class SlightlyWrongKernel(ReferenceVE):
    def kernel(self, s, t):
        return torch.ones_like(t), (self.sigma(t) ** 2 - self.sigma(s) ** 2 + 1e-8).sqrt()


@frozen
class MuchDataLeft(ReferenceVE):
    def sigma(self, t):
        return 0.01 * 200**t


@frozen
class UnitPrior(ReferenceVE):
    def prior_std(self):
        return 1.0


@frozen
class Motionless(ReferenceFlow):
    def alpha_rate(self, t):
        return torch.zeros_like(t)

    def sigma_rate(self, t):
        return torch.zeros_like(t)


@frozen
class FallingTable(Table):
    def grid(self):
        return super().grid().flip(0)


@frozen
class SingleTable(Table):
    def grid(self):
        return super().grid().float()


@frozen
class ShortTable(Table):
    def grid(self):
        return super().grid()[:-1]


@frozen
class LongTable(Table):
    def grid(self):
        return torch.linspace(0.1, 1.1, 11, dtype=torch.float64)


@frozen
class CoarseInverse(Table):
    def time_of(self, log_snr):
        return (super().time_of(log_snr) * 1000).round() / 1000 + 4e-4


@frozen
class KinksUnsaid(Table):
    def grid(self):
        return None


@frozen
class NormalisedNoise(HeavyTailed):
    def noise(self, source, shape, step):
        noise = source.normal(shape, step)
        return noise / noise.std()


@frozen
class SharedNoise(HeavyTailed):
    def noise(self, source, shape, step):
        noise = source.normal(shape, step)
        return noise[:1].expand_as(noise) if len(noise) > 1 else noise


@frozen
class FrozenNoise(HeavyTailed):
    def noise(self, source, shape, step):
        return source.normal(shape, 0)


@frozen
class ScoreOfHeavyTails(HeavyTailed):
    def offers(self):
        return frozenset({"reverse_sde"})


@frozen
class AnchorOfTheBatch(Anchored):
    def anchor(self, cond):
        return cond.image - cond.image.mean(0)


class RestlessAnchor(Anchored):
    """Another anchor each time."""

    calls = 0

    def anchor(self, cond):
        type(self).calls += 1
        return cond.image * (1 + type(self).calls % 3 * 1e-9 * (len(cond.image) > 1))


@frozen
class FlatAnchor(Anchored):
    def anchor(self, cond):
        return cond.image.flatten(1)


@frozen
class StaysInTheMiddle(ReferenceVP):
    def spaced(self, first, last, count):
        return torch.linspace(0.25, 0.75, count, dtype=torch.float64)


@frozen
class StandsStill(ReferenceVP):
    def spaced(self, first, last, count):
        return super().spaced(first, last, count).mul(8).round().div(8)


BROKEN = [
    (StaysInTheMiddle(), "equal steps lead from one end to the other"),
    (StandsStill(), "equal steps lead from one end to the other"),
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
    (HandsOutTheTime(), "functions of time are elementwise"),
    (FlattensTime(), "functions of time are elementwise"),
    (LooksAtAllTimes(), "functions of time are elementwise"),
    (ClampedLogSNR(), "log_snr is log(alpha^2 / sigma^2)"),
    (WrongLogSNRRate(), "rates are the derivatives"),
    (NegativeDiffusion(), "drift and diffusion follow from alpha and sigma"),
    (SlightlyWrongKernel(), "kernels carry the marginals and form a semigroup"),
    (VarianceForDeviation(), "Euler-Maruyama converges to the marginals"),
    (MuchDataLeft(), "little data is left at the end"),
    (UnitPrior(), "sampling starts from the noise of the end"),
    (Motionless(), "every prediction can be read at every level"),
    (FallingTable(), "discrete times rise and stay where they are"),
    (SingleTable(), "discrete times rise and stay where they are"),
    (ShortTable(), "discrete times rise and stay where they are"),
    (LongTable(), "discrete times rise and stay where they are"),
    (CoarseInverse(), "discrete times rise and stay where they are"),
    (CoarseInverse(), "time_of inverts log_snr"),
    (NormalisedNoise(), "an example's noise does not depend on its batch"),
    (SharedNoise(), "an example's noise does not depend on its batch"),
    (FrozenNoise(), "an example's noise does not depend on its batch"),
    (ScoreOfHeavyTails(), "a process with a score has normal noise"),
    (AnchorOfTheBatch(), "samples move with the anchor"),
    (RestlessAnchor(), "samples move with the anchor"),
    (FlatAnchor(), "samples move with the anchor"),
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


UNMEASURED = {
    "discrete times rise and stay where they are": {"Table"},
    "samples move with the anchor": {"Anchored"},
}
"""Laws of what few processes have, and those that have it here."""


@pytest.mark.parametrize("law", SCHEDULER_LAWS, ids=str)
@pytest.mark.parametrize("scheduler", GOOD, ids=lambda one: type(one).__name__)
def test_derived_quantities_alone_obey_every_law(scheduler, law):
    found = law.check(scheduler)
    assert found.holds
    name = type(scheduler).__name__
    if law.name in UNMEASURED:
        assert found.measured == (name in UNMEASURED[law.name])
    elif law.name == "little data is left at the end":
        assert found.measured == (name != "Anchored")
    elif law.name == "a process with a score has normal noise":
        assert found.measured == (name != "HeavyTailed")
    else:
        assert found.measured


def test_figures_name_what_they_are_about():
    assert LAWS["rates are the derivatives"].measure(WrongRate()).detail == "sigma_rate"
    assert LAWS["float32 agrees with float64"].measure(CancelsInSinglePrecision()).detail == "sigma"
    read = LAWS["every prediction can be read at every level"].measure(Motionless())
    assert read.detail.endswith("of flow")
    times = LAWS["functions of time are elementwise"].measure(HandsOutTheTime())
    assert times.detail == "sigma of times of shape () is the times: return t.clone()"


def test_no_measurement_stands_on_a_kink_and_no_interval_crosses_one():
    known = kinks(Table())
    assert (interior(Table())[:, None] - known).abs().min() > 0.004
    edges = intervals(Table(), 100)
    inside = known[(known > edges[0]) & (known < edges[-1])]
    assert torch.isin(inside, edges).all()


def test_kinks_that_a_process_does_not_name_are_no_fault():
    found = LAWS["the SDE reproduces the marginals"].check(KinksUnsaid())
    assert found.measured


def test_the_rule_for_integrals_is_exact_for_the_seventh_power():
    edges = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    found = integral(lambda t: 8 * t**7, edges)
    assert found.tolist() == pytest.approx([1 - 0.5**8, 3**8 - 0.5**8], rel=1e-14)


def test_the_moments_of_euler_are_those_of_its_recursion():
    edges = torch.linspace(0.2, 0.8, 9, dtype=torch.float64)
    scheduler: Scheduler = ReferenceVP()
    mean, variance = float(scheduler.alpha(edges[0])), float(scheduler.sigma(edges[0])) ** 2
    for t, dt in zip(edges[:-1], edges.diff().tolist(), strict=True):
        f, g = float(scheduler.drift(t)), float(scheduler.diffusion(t))
        mean, variance = mean * (1 + f * dt), variance * (1 + f * dt) ** 2 + g**2 * dt
    means, variances = euler(scheduler, edges)
    assert float(means[-1]) == pytest.approx(mean, rel=1e-13)
    assert float(variances[-1]) == pytest.approx(variance, rel=1e-13)
