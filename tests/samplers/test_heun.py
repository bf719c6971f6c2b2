"""Heun: second order at every limit, with churn too."""

from diffx_core.testing import SamplerSuite
from diffx_samplers.heun import Heun


class TestHeun(SamplerSuite):
    def component(self):
        return Heun()


class TestHeunEDM(SamplerSuite):
    def component(self):
        return Heun(coords="edm")


class TestChurn(SamplerSuite):
    def component(self):
        return Heun(s_churn=20.0)


class TestChurnEDM(SamplerSuite):
    def component(self):
        return Heun(coords="edm", s_churn=40.0, s_tmin=0.05, s_tmax=50.0, s_noise=1.003)
