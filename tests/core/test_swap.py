"""A model of one process, sampled under another: the same samples, scaled."""

import itertools
from functools import partial

import pytest
import torch
from attrs import frozen

from diffx_core import (
    PREDICTIONS,
    Autoguidance,
    ClassifierFreeGuidance,
    Condition,
    ConfigError,
    DataSpec,
    Likelihood,
    NetworkDenoiser,
    NoiseSource,
    Pipeline,
    PlusPlus,
    SwappedProcess,
    sample,
)
from diffx_core.estimate import from_x0
from diffx_core.known import known
from diffx_core.sampler import Plan
from diffx_core.testing import REFERENCE_PROCESSES, GaussianDenoiser
from diffx_core.testing.oracle import MixtureDenoiser, ReferenceFlow, ReferenceVE, ReferenceVP
from diffx_samplers.ddim import DDIM
from diffx_samplers.heun import Heun
from diffx_samplers.rk45 import RK45
from diffx_schedulers.ddpm import DDPM
from diffx_schedulers.edm import EDM
from diffx_schedulers.logsnr import LogSNR
from diffx_schedulers.rectified_flow import RectifiedFlow
from diffx_schedulers.vp import VP

PAIRS = list(itertools.permutations(REFERENCE_PROCESSES, 2))
BOTH = pytest.mark.parametrize(
    ("trained", "other"), PAIRS, ids=["-".join(type(s).__name__ for s in pair) for pair in PAIRS]
)


@BOTH
def test_the_oracle_of_one_process_becomes_that_of_the_other(trained, other):
    swapped, expected = SwappedProcess(GaussianDenoiser(trained), other), GaussianDenoiser(other)
    x = torch.linspace(-3, 3, 7, dtype=torch.float64)[:, None]
    for t in (0.3, 0.5, swapped.t_max):
        found, wanted = swapped(x, t), expected(x, t)
        assert torch.allclose(found.x0, wanted.x0, rtol=1e-9, atol=1e-9)
        assert torch.allclose(found.eps, wanted.eps, rtol=1e-9, atol=1e-9)


@BOTH
def test_times_for_each_example_are_the_same_as_one_for_all(trained, other):
    swapped = SwappedProcess(GaussianDenoiser(trained), other)
    x = torch.linspace(-3, 3, 4, dtype=torch.float64)[:, None]
    each = swapped(x, torch.full((4,), 0.4, dtype=torch.float64))
    assert torch.allclose(each.x0, swapped(x, 0.4).x0, rtol=1e-12)


def test_sampling_under_the_other_process_changes_nothing_on_the_same_noise_ratios():
    """DDIM is the same map for every process: so is a swapped model under its own grid."""

    def network(x, noise_label, cond):
        return torch.tanh(x) * (noise_label[:, None] / 1000).to(x)

    trained, other = ReferenceVP(), ReferenceFlow()
    model = NetworkDenoiser(network, trained, PREDICTIONS["v"], 0.5)
    levels = torch.linspace(-6, 6, 12, dtype=torch.float64)
    noise = NoiseSource(0, range(5), dtype=torch.float64)
    ends = []
    for denoiser in (model, SwappedProcess(model, other)):
        plan = Plan.of(denoiser.scheduler, denoiser.scheduler.time_of(levels))
        start = noise.normal((3,), -1) * (plan.alpha[0] ** 2 + plan.sigma[0] ** 2) ** 0.5
        ends.append(sample(DDIM(), denoiser, (3,), noise=noise, plan=plan, start=start))
    assert torch.allclose(*ends, atol=1e-7)  # noise labels are float32


def test_a_swapped_model_is_asked_about_no_more_noise_than_it_knows():
    model = NetworkDenoiser(lambda x, label, cond: x, ReferenceVP(), PREDICTIONS["eps"], 0.5)
    swapped = SwappedProcess(model, ReferenceFlow())
    last = torch.tensor([swapped.t_max, model.t_max], dtype=torch.float64)
    assert float(ReferenceFlow().log_snr(last[0])) == pytest.approx(
        float(ReferenceVP().log_snr(last[1])), rel=1e-9
    )


@frozen
class Anchored(ReferenceVP):
    """A process that is drawn to a point."""

    def anchor(self, cond):
        return cond.image


@frozen
class OtherNoise(ReferenceVP):
    """A process without Gaussian noise."""

    def offers(self):
        return frozenset()


@frozen
class Early(ReferenceVP):
    """A process that ends while half of the data are there."""

    t_max = 0.25


@frozen
class NoLess(ReferenceVE):
    """A process that begins with as much noise as a table has in its middle."""

    def sigma(self, t):
        return 0.5 * 200**t


@frozen
class Cleaner(ReferenceVE):
    """A process that begins with less noise."""

    def sigma(self, t):
        return 1e-4 * 5e5**t


REFUSED = {
    "anchor": (ReferenceVP(), Anchored(), "their paths lead to other points"),
    "anchored": (Anchored(), ReferenceVP(), "their paths lead to other points"),
    "noise": (OtherNoise(), ReferenceVP(), "their noise has another law"),
    "other noise": (ReferenceVP(), OtherNoise(), "their noise has another law"),
    "early": (ReferenceVP(), Early(), "it ends with 1 times as much data as noise"),
}


@pytest.mark.parametrize(("trained", "other", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_process_that_a_model_does_not_know_is_refused(trained, other, reason):
    pipeline = Pipeline(GaussianDenoiser(trained), DataSpec((3,)))
    message = f"a model of {type(trained).__name__} cannot be sampled under {type(other).__name__}"
    with pytest.raises(ConfigError, match=f"{message}: {reason}"):
        pipeline.under(other)


def test_a_model_that_ends_early_itself_can_be_sampled_as_early():
    pipeline = Pipeline(GaussianDenoiser(Early()), DataSpec((3,)))
    assert pipeline.under(Early()).sample(2, sampler=DDIM(steps=3)).isfinite().all()


def test_a_swapped_model_is_asked_about_no_less_noise_than_it_knows():
    model = GaussianDenoiser(ReferenceVE())
    swapped = SwappedProcess(model, Cleaner())
    reason = r"Cleaner asks about sigma / alpha = .*, and the model of ReferenceVE knows .* 0.01"
    with pytest.raises(ConfigError, match=reason):
        swapped(torch.zeros(1, 1), 0.9 * swapped.t_min)
    assert model.calls == []


METHODS = {
    "ddim": DDIM(steps=40, grid="karras"),
    "uniform": Heun(steps=60),
    "logsnr": Heun(steps=40, grid="logsnr"),
    "rk45": RK45(rtol=1e-7, atol=1e-7),
    "shown": RK45(steps=5, rtol=1e-7, atol=1e-7),
}


@pytest.mark.parametrize("sampler", METHODS.values(), ids=METHODS)
def test_a_run_ends_at_the_least_noise_that_the_model_knows(sampler):
    """On the expected data there: what they are known for, 0.01 of noise beside data of 0.5."""
    model = GaussianDenoiser(ReferenceVE())
    pipeline = Pipeline(model, DataSpec((3,)), dtype=torch.float64).under(Cleaner())
    found = pipeline.sample(4, sampler=sampler)
    own = Pipeline(model, DataSpec((3,)), dtype=torch.float64)
    assert min(model.calls) >= ReferenceVE().t_min
    accurate = own.sample(4, sampler=RK45(rtol=1e-9, atol=1e-9))
    assert float((found - accurate).abs().max()) < (0.1 if type(sampler) is DDIM else 0.01)


def test_a_process_in_discrete_time_keeps_to_the_times_that_the_model_knows():
    table, model = DDPM(), GaussianDenoiser(NoLess())
    pipeline = Pipeline(model, DataSpec((3,))).under(table)
    known = table.log_snr(table.grid()) < NoLess().log_snr(torch.zeros(1, dtype=torch.float64))
    steps = int(known.sum())
    drawing = pipeline.drawing(2, sampler=DDIM(steps=steps))
    assert drawing.plan.times[:-1] == tuple(table.grid()[known].flip(0).tolist())
    assert drawing.samples().isfinite().all()
    with pytest.raises(ConfigError, match=f"the process has {steps} times"):
        pipeline.drawing(2, sampler=DDIM(steps=steps + 1))


def test_a_model_of_a_table_is_asked_between_its_times_and_never_below_them():
    model = MixtureDenoiser(DDPM())
    pipeline = Pipeline(model, DataSpec((2,)), dtype=torch.float64).under(VP())
    found = pipeline.sample(5, sampler=RK45(rtol=1e-7, atol=1e-7))
    between = torch.tensor(model.calls, dtype=torch.float64) * 1000
    assert float((between - between.round()).abs().max()) > 0.4
    assert float(between.min()) > 1 - 0.01
    own = Pipeline(MixtureDenoiser(VP()), DataSpec((2,)), dtype=torch.float64)
    assert float((found - own.sample(5, sampler=RK45(rtol=1e-7, atol=1e-7))).abs().max()) < 0.01


def test_data_are_encoded_from_the_least_noise_that_the_model_knows_and_come_back():
    model = MixtureDenoiser(ReferenceVE())
    pipeline = Pipeline(model, DataSpec((3,)), dtype=torch.float64).under(Cleaner())
    x = torch.tensor([[-1.3, -1.0, -0.8], [0.6, 0.8, 1.0]], dtype=torch.float64)
    for sampler in (RK45(rtol=1e-8, atol=1e-8), Heun(steps=800, grid="logsnr")):
        back = pipeline.decode(pipeline.encode(x, sampler=sampler), sampler=sampler)
        torch.testing.assert_close(back, x, rtol=0, atol=1e-4)


def test_a_swapped_model_finds_data_as_probable_as_it_did():
    """With the little noise of its own first time added to them, under either process."""
    model, x = MixtureDenoiser(ReferenceVE()), torch.linspace(-1, 1, 6).double().reshape(2, 3)
    own = Pipeline(model, DataSpec((3,)), dtype=torch.float64)
    method = Likelihood(steps=100, trace="exact")
    found, wanted = (
        one.log_likelihood(x, method=method).total for one in (own.under(Cleaner()), own)
    )
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


def test_two_models_guide_each_other_from_where_both_know_the_noise():
    weak = SwappedProcess(GaussianDenoiser(ReferenceVE(), 0.1), Cleaner())
    guided = Autoguidance(GaussianDenoiser(Cleaner()), 2.0, weak=weak)
    assert guided.t_min == weak.t_min > Cleaner().t_min
    noise = NoiseSource(0, range(3), dtype=torch.float64)
    assert sample(DDIM(steps=9, grid="karras"), guided, (2,), noise=noise).isfinite().all()


def test_an_edit_of_less_noise_than_the_model_knows_is_refused():
    pipeline = Pipeline(GaussianDenoiser(ReferenceVE()), DataSpec((3,))).under(Cleaner())
    with pytest.raises(ConfigError, match=r"strength 0.005 is less noise than Cleaner has at any"):
        pipeline.edit(torch.zeros(2, 3), 0.005)
    assert pipeline.edit(torch.zeros(2, 3), 0.05).isfinite().all()


PROCESSES = [*REFERENCE_PROCESSES, VP(), DDPM(), EDM(), LogSNR(), RectifiedFlow()]


@pytest.mark.parametrize("process", PROCESSES, ids=lambda one: type(one).__name__)
def test_a_model_that_knows_any_noise_is_asked_from_the_beginning_of_a_process(process):
    assert SwappedProcess(GaussianDenoiser(ReferenceFlow()), process).t_min == process.t_min


@pytest.mark.parametrize("process", PROCESSES, ids=lambda one: type(one).__name__)
def test_the_known_part_of_a_process_is_the_process(process):
    part = known(process, 0.3)
    t = torch.linspace(0.35, 0.9, 12, dtype=torch.float64)
    for name in ("alpha", "sigma", "alpha_rate", "sigma_rate", "log_snr", "log_snr_rate", "drift"):
        assert torch.equal(getattr(part, name)(t), getattr(process, name)(t))
    for name in ("diffusion", "noise_label"):
        assert torch.equal(getattr(part, name)(t), getattr(process, name)(t))
    assert all(map(torch.equal, part.kernel(t, t + 0.1), process.kernel(t, t + 0.1)))
    levels = process.log_snr(torch.tensor([0.1, 0.5], dtype=torch.float64))
    assert float(part.time_of(levels)[0]) == 0.3
    assert float(part.time_of(levels)[1]) == pytest.approx(0.5)
    assert (part.t_min, part.t_max, part.prior_std()) == (0.3, process.t_max, process.prior_std())
    assert part.offers() == process.offers()


@BOTH
def test_a_swapped_model_has_the_same_law(trained, other):
    """The flow of Gaussian data, in steps small enough."""
    pipeline = Pipeline(GaussianDenoiser(trained), DataSpec((3,)), dtype=torch.float64)
    sampler = Heun(steps=60, grid="flow")
    x = pipeline.under(other).sample(3, sampler=sampler)
    own = Pipeline(GaussianDenoiser(other), DataSpec((3,)), dtype=torch.float64)
    torch.testing.assert_close(x, own.sample(3, sampler=sampler), rtol=0, atol=1e-2)


def test_guidance_whose_ends_do_not_meet_is_the_same_inside_and_outside():
    """CFG++ has no x of its own: its ends are what every process has in common."""
    guide = partial(ClassifierFreeGuidance, rule=PlusPlus(0.7))
    model, flow = Two(ReferenceVP()), ReferenceFlow()
    cond = Condition(torch.tensor([0, 1, 0]))
    draw = partial(sample, DDIM(steps=9, grid="logsnr"), shape=(2,), cond=cond)
    noise = NoiseSource(0, range(3), dtype=torch.float64)
    inside = draw(SwappedProcess(guide(model), flow), noise=noise)
    outside = draw(guide(SwappedProcess(model, flow)), noise=noise)
    torch.testing.assert_close(inside, outside, rtol=0, atol=1e-12)


class Two(GaussianDenoiser):
    """The mean of the data depends on the label."""

    def __call__(self, x, t, cond=None):
        estimate = super().__call__(x, t, cond)
        if cond is None or cond.label is None:
            return estimate
        alpha, sigma = (getattr(self.scheduler, one)(torch.tensor(t)) for one in ("alpha", "sigma"))
        return from_x0(x, estimate.x0 + 0.3 * cond.label[:, None], float(alpha), float(sigma))
