"""Our metrics obey the laws of metrics."""

from diffx_core.testing import MetricSuite
from diffx_metrics.frechet import Frechet, FrechetDino
from diffx_metrics.inception_score import InceptionScore
from diffx_metrics.kid import KID
from diffx_metrics.prdc import PRDC
from diffx_metrics.sliced import SlicedWasserstein


class TestFrechet(MetricSuite):
    def component(self):
        return Frechet()


class TestFrechetDino(MetricSuite):
    def component(self):
        return FrechetDino()


class TestKID(MetricSuite):
    def component(self):
        return KID()


class TestPRDC(MetricSuite):
    def component(self):
        return PRDC()


class TestInceptionScore(MetricSuite):
    def component(self):
        return InceptionScore()


class TestSlicedWasserstein(MetricSuite):
    def component(self):
        return SlicedWasserstein()
