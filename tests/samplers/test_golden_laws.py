"""What theory and published figures say of the samplers, for the processes that are installed."""

import math

import pytest
import torch
from attrs import frozen

from diffx_core import PREDICTIONS, NoiseSource, Plan, Sampler, sample
from diffx_core.plugins import Registry
from diffx_core.testing import GaussianDenoiser, MixtureDenoiser
from diffx_core.testing.oracle import ReferenceVE, ReferenceVP
from diffx_core.testing.predicted import disagreement
from diffx_core.testing.probe import expectation, law_error
from diffx_core.testing.sampler_laws import limit_slope, measured_order, window
from diffx_samplers.ddim import DDIM
from diffx_samplers.ddpm import DDPM
from diffx_samplers.dpm_solver import DPMSolver
from diffx_samplers.dpmpp import DPMPP
from diffx_samplers.euler import Euler
from diffx_samplers.euler_maruyama import EulerMaruyama
from diffx_samplers.heun import Heun
from diffx_samplers.sde_heun import SDEHeun
from diffx_samplers.unipc import UniPC

REGISTRY = Registry.load({})
VP = ReferenceVP()
PROCESSES = ("vpsde", "subvpsde", "vesde", "rectified_flow", "gvp", "edm")
OURS = [one.name for one in REGISTRY.all("sampler") if one.distribution == "diffx-samplers"]


def component(kind, name, **options):
    return REGISTRY.find(kind, f"diffx-{kind}s:{name}").load()(**options)


@pytest.mark.parametrize("prediction", PREDICTIONS.values(), ids=lambda one: one.name)
@pytest.mark.parametrize("name", OURS)
def test_samples_do_not_depend_on_what_the_network_predicts(name, prediction, process):
    assert disagreement(component("sampler", name, steps=9), process, prediction) < 1e-9


def at_ratios(scheduler, ratios):
    """A plan whose sigma / alpha are these to rounding, which its times are not."""
    times = scheduler.time_of(-2 * ratios.log())
    alpha = scheduler.alpha(times)
    columns = (one.tolist() for one in (times, alpha, alpha * ratios))
    return Plan(scheduler, *(tuple(one) for one in columns))


@pytest.mark.parametrize("name", PROCESSES)
def test_ddim_is_one_map_for_every_process_at_the_same_noise_ratios(walks, name):
    """The same x / alpha at the start gives the same x0: the process is a change of scale."""
    ratios = torch.logspace(1, -1.3, 17, dtype=torch.float64)
    ends = []
    for scheduler in (ReferenceVP(), component("scheduler", name)):
        plan = at_ratios(scheduler, ratios)
        start = torch.linspace(-5, 5, 7, dtype=torch.float64)[:, None] * plan.alpha[0]
        end = walks.walk(DDIM(), MixtureDenoiser(scheduler), plan, start)[-1]
        ends.append(end / plan.alpha[-1])
    assert torch.allclose(*ends, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", PROCESSES)
def test_ancestral_sampling_has_three_names(walks, name):
    """DDPM, DDIM with eta 1 and the exponential reverse SDE draw the same samples."""
    scheduler = component("scheduler", name)
    plan, denoiser = window(scheduler, 12), MixtureDenoiser(scheduler)
    z = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    ways = [
        walks.walk(one, denoiser, plan, walks.starts(plan), noise=lambda *_: z)[-1]
        for one in (DDPM(), DDIM(eta=1.0), EulerMaruyama(), DPMPP(order=1, tau=1.0))
    ]
    for other in ways[1:]:
        assert torch.allclose(other, ways[0], rtol=0, atol=1e-12)


def test_heun_ends_where_the_flow_of_gaussian_data_does(process):
    denoiser, errors = GaussianDenoiser(process), []
    noise = NoiseSource(0, range(9), dtype=torch.float64)
    for steps in (160, 320, 640):
        plan = window(process, steps)
        start = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None] * plan.sigma[0]
        found = sample(Heun(), denoiser, (1,), noise=noise, plan=plan, start=start)
        exact = denoiser.flow(start, plan.times[0], plan.times[-1])
        errors.append(float((found - exact).abs().max()))
    assert limit_slope(errors) == pytest.approx(2, abs=0.05)
    assert errors[-1] < 1e-4


ODE_ORDERS = {
    "Euler": (Euler(), 1),
    "Heun": (Heun(), 2),
    "2S": (DPMSolver(order=2), 2),
    "2M": (DPMPP(order=2), 2),
    "3S": (DPMSolver(order=3), 3),
    "3M": (DPMPP(order=3), 3),
    "3M as published": (DPMPP(order=3, variant="published"), 2),
    "UniPC-2": (UniPC(order=2), 3),
}


@pytest.mark.parametrize("name", ODE_ORDERS)
def test_the_order_on_a_mixture_is_the_known_one(name):
    sampler, order = ODE_ORDERS[name]
    assert measured_order(sampler, ReferenceVP()) == pytest.approx(order, abs=0.15)


def weak_order(sampler, scheduler=VP):
    """By probing, from the exact law at the first level."""
    denoiser = GaussianDenoiser(scheduler)
    return limit_slope([law_error(sampler, denoiser, window(scheduler, n)) for n in (80, 160, 320)])


@pytest.mark.parametrize("form", ["exponential", "classic"])
def test_euler_maruyama_and_ancestral_sampling_are_of_weak_order_one(form):
    for sampler in (EulerMaruyama(form=form), DDPM(), DDPM(variance="large")):
        assert weak_order(sampler) == pytest.approx(1, abs=0.15)


SECOND = {
    "churn": Heun(s_churn=20.0),
    "churn as published": Heun(coords="edm", s_churn=20.0),
    "SDE-2M": DPMPP(order=2, tau=1.0),
    "stochastic Heun": SDEHeun(),
}


@pytest.mark.parametrize("name", SECOND)
def test_the_better_sde_methods_are_of_weak_order_two(name):
    assert weak_order(SECOND[name]) >= 1.85


@frozen(kw_only=True)
class Frozen(Sampler):
    """Heun's rule on the drift of the reverse SDE with all noise drawn first, as SiT has it."""

    @property
    def stochastic(self):
        return True

    @property
    def nfe(self):
        return 2 * self.steps

    def start(self, plan):
        assert set(plan.alpha) == {1.0}, "written for x in units of the data"

    def step(self, denoise, x, i, plan, state, noise):
        k, after = plan.sigma[i], plan.sigma[i + 1]
        x = x + math.sqrt(2 * k * (k - after)) * noise()
        first = denoise(x, plan.times[i]).eps
        second = denoise(x + 2 * (after - k) * first, plan.times[i + 1]).eps
        return x + (after - k) * (first + second), state


def test_noise_drawn_before_heuns_rule_costs_an_order():
    """So that the tests above would notice: this method is of first order, for all its calls."""
    assert weak_order(Frozen(), ReferenceVE()) == pytest.approx(1, abs=0.15)


def test_on_a_mixture_too_it_is_an_order_of_magnitude_worse():
    """E cos(3 x) after 128 steps from sigma / alpha 5 to 0.1, by backward expectation."""
    denoiser = MixtureDenoiser(ReferenceVE())
    plan = at_ratios(ReferenceVE(), torch.logspace(math.log10(5), -1, 129, dtype=torch.float64))
    parts = zip(denoiser.weights, denoiser.means, denoiser.stds, strict=True)
    exact = sum(w * math.exp(-4.5 * (s**2 + 0.01)) * math.cos(3 * m) for w, m, s in parts)
    frozen_error, error = (
        abs(expectation(one, denoiser, plan, lambda x: (3 * x).cos()) - exact)
        for one in (Frozen(), SDEHeun())
    )
    assert frozen_error == pytest.approx(2.3e-3, rel=0.05)
    assert error < 1e-4
