"""The laws of metrics find what they are there to find."""

from types import MappingProxyType

import pytest
import torch
from attrs import frozen

from diffx_core import Metric
from diffx_core.testing import METRIC_LAWS

GENERATOR = torch.Generator()
LAWS = {law.name: law for law in METRIC_LAWS}


@frozen(kw_only=True)
class Apart(Metric):
    """How far apart the means and the deviations are, and a way to go wrong."""

    figures = ("mean", "deviation")
    lower_is_better = True
    bug: str = ""
    fewest: int = 3

    @property
    def least(self):
        return self.fewest

    def measure(self, made, real, *, seed):
        if self.bug != "any":
            self.require(*(len(made), len(real))[: 1 if self.bug == "any real" else 2])
        if self.bug == "written":
            real.sub_(1)
        # E x^2 - (E x)^2, and not E (x - E x)^2
        unwise = [(x.square().mean(0) - x.mean(0).square()).mean() for x in (made, real)]
        spread = [x.double().var(0).mean() for x in (made, real)]
        mean = (made.double().mean(0) - real.double().mean(0)).norm()
        found = {
            "mean": float(mean),
            "deviation": float((spread[0] - spread[1]).abs()) + self._lost(made, real),
        }
        match self.bug:
            case "cancelled":
                found["deviation"] = float((unwise[0] - unwise[1]).abs())
            case "order":
                found["mean"] = float((made[0] - real[0]).norm())
            case "drawn":
                found["mean"] += float(torch.rand((), generator=GENERATOR))
            case "global":
                torch.rand(1)
            case "flat":
                found["mean"] = 0.0
            case "upside down":
                found["mean"] *= -1
        return MappingProxyType(self._named(found, mean))

    def _lost(self, made, real):
        """Not a number, in the case of the bug."""
        n, m = len(made), len(real)
        is_lost = {
            "more": n < m,
            "more made": n > m,
            "least": n == self.least,
            "least real": m == self.least,
            "nan in order": made[0, 0] < 0,
        }
        return float("nan") if is_lost.get(self.bug, False) else 0.0

    def _named(self, found, mean):
        match self.bug:
            case "unsaid":
                return {**found, "else": 0.0}
            case "lost":
                return {"deviation": 0.0}
            case "tensor":
                return {**found, "mean": mean}
            case "infinite":
                return {**found, "mean": float("inf")}
        return found

    def called(self, figure, features):
        return figure if self.bug == "called" else super().called(figure, features)


WORSE = "examples of another law are worse"
DECLARED = "it measures the figures that it declares"
FEW = "as few as it needs are enough, and fewer are refused"
MORE = "there may be more examples of one sort"
FOUND = {
    "any": FEW,
    "any real": FEW,
    "least": FEW,
    "least real": FEW,
    "more": MORE,
    "more made": MORE,
    "written": "what it is given is not changed",
    "cancelled": "single precision is enough",
    "order": "the order of the examples does not matter",
    "nan in order": "the order of the examples does not matter",
    "drawn": "the same seed gives the same numbers",
    "global": "global random numbers are left alone",
    "flat": WORSE,
    "upside down": WORSE,
    "unsaid": DECLARED,
    "lost": DECLARED,
    "tensor": DECLARED,
    "infinite": DECLARED,
    "called": "figures of other features have other names",
}


@pytest.mark.parametrize("law", METRIC_LAWS, ids=str)
def test_a_metric_without_faults_obeys(law):
    assert law.check(Apart()).measured


@pytest.mark.parametrize("bug", FOUND)
def test_a_fault_is_found(bug):
    with pytest.raises(AssertionError, match=r"^Apart: "):
        LAWS[FOUND[bug]].check(Apart(bug=bug))


def test_every_law_finds_a_fault():
    assert {*FOUND.values()} == {*LAWS}


@pytest.mark.parametrize("law", METRIC_LAWS, ids=str)
def test_a_metric_may_need_many_examples(law):
    assert law.check(Apart(fewest=500)).measured
