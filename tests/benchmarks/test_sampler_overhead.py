"""What a step costs beyond the network: samplers of diffx, a bare loop, diffusers and k-diffusion.

The network returns its input, so what is timed is all overhead. The bare loop is the same method by
hand: coefficients beforehand, Python floats, operations in place. Run with `pytest
tests/benchmarks/test_sampler_overhead.py --benchmark-enable`; install the dependency group `bench`
for the peers. Nothing here asserts a time; that each loop does what it is compared with is
asserted.
"""

from itertools import pairwise

import pytest
import torch

from diffx_core import PREDICTIONS, NetworkDenoiser, NoiseSource, sample
from diffx_core.plugins import Registry

STEPS = 20
CASES = {
    "one": ((1, 3, 32, 32), 1),
    "many": ((64, 3, 32, 32), 1),
    "many, two threads": ((64, 3, 32, 32), 2),
}
"""The shape of x, and how many threads torch may use."""
REGISTRY = Registry.load({})
VP = REGISTRY.find("scheduler", "vpsde").load()()
SAMPLERS = ("ddim", "euler", "dpmpp", "deis", "ipndm", "unipc", "heun", "ddpm", "pc")


class Counted:
    """A network that returns its input, and how often it was asked."""

    def __init__(self):
        self.calls = 0

    def __call__(self, x, label, cond):
        self.calls += 1
        return x


@pytest.fixture(params=CASES)
def start(request, benchmark):
    benchmark.group = f"{STEPS} steps, {request.param} of them"
    shape, threads = CASES[request.param]
    torch.manual_seed(0)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    with torch.no_grad():
        yield torch.randn(shape)
    torch.set_num_threads(before)


def levels():
    """Alpha and sigma at equal steps in time, onto clean data, as tensors."""
    first = PREDICTIONS["eps"].horizon(VP)
    times = torch.linspace(first, VP.t_min, STEPS + 1, dtype=torch.float64)
    alpha, sigma = VP.alpha(times), VP.sigma(times)
    alpha[-1], sigma[-1] = 1.0, 0.0
    return alpha, sigma


def run(benchmark, fn, calls):
    found = benchmark.pedantic(fn, rounds=15, warmup_rounds=3)
    benchmark.extra_info["calls"] = calls
    assert found.isfinite().all()


@pytest.mark.parametrize("name", SAMPLERS)
def test_diffx(benchmark, start, name):
    sampler = REGISTRY.find("sampler", name).load()(steps=STEPS, grid="uniform")
    network = Counted()
    denoiser = NetworkDenoiser(network, VP, PREDICTIONS["eps"])
    noise = NoiseSource(0, range(len(start)))
    shape = start.shape[1:]
    run(
        benchmark,
        lambda: sample(sampler, denoiser, shape, noise=noise, start=start),
        sampler.nfe,
    )
    assert network.calls % sampler.nfe == 0


def bare_ddim(start):
    """The weights of x and of the output for every step, then nothing but the steps."""
    alpha, sigma = (one.tolist() for one in levels())
    ratio = [b / a for a, b in pairwise(alpha)]
    slope = [sigma[i + 1] - ratio[i] * sigma[i] for i in range(STEPS)]
    x = start.clone()
    for i in range(STEPS):
        out = echo(x)
        x = (x * ratio[i]).add_(out, alpha=slope[i])
    return x


def bare_dpmpp(start):
    """The same for two estimates of the data."""
    alpha, sigma = levels()
    ell = (alpha / sigma).log()
    h = ell.diff()
    scale = (sigma[1:] / sigma[:-1]).tolist()
    data = -alpha[1:] * (-h).expm1()
    slope = torch.zeros_like(data)
    slope[1:-1] = data[1:-1] * h[1:-1] / (2 * h[:-2])
    new, old = (data + slope).tolist(), slope.tolist()
    of_x, of_out = (1 / alpha).tolist(), (-sigma / alpha).tolist()
    x, before = start.clone(), None
    for i in range(STEPS):
        x0 = (x * of_x[i]).add_(echo(x), alpha=of_out[i])
        x = (x * scale[i]).add_(x0, alpha=new[i])
        if old[i]:
            x.add_(before, alpha=-old[i])
        before = x0
    return x


def bare_ancestral(start):
    """DDIM's loop with fresh noise of torch's own generator."""
    alpha, sigma = (one.tolist() for one in levels())
    x = start.clone()
    for i in range(STEPS):
        kept = alpha[i] * sigma[i + 1] / (alpha[i + 1] * sigma[i])
        eta = sigma[i + 1] * (1 - kept**2) ** 0.5
        ratio = alpha[i + 1] / alpha[i]
        x = (x * ratio).add_(echo(x), alpha=(sigma[i + 1] ** 2 - eta**2) ** 0.5 - ratio * sigma[i])
        if eta:
            x.add_(torch.randn_like(x), alpha=eta)
    return x


def echo(x):
    return x


BARE = {"ddim": bare_ddim, "dpmpp": bare_dpmpp, "ancestral": bare_ancestral}


@pytest.mark.parametrize("name", BARE)
def test_bare(benchmark, start, name):
    run(benchmark, lambda: BARE[name](start), STEPS)


@pytest.mark.parametrize("name", ["ddim", "dpmpp"])
def test_bare_loops_are_the_methods(name):
    start = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    sampler = REGISTRY.find("sampler", name).load()(steps=STEPS, grid="uniform")
    denoiser = NetworkDenoiser(Counted(), VP, PREDICTIONS["eps"])
    noise = NoiseSource(0, range(2), dtype=torch.float64)
    found = sample(sampler, denoiser, (3, 4, 4), noise=noise, start=start)
    torch.testing.assert_close(found, BARE[name](start), rtol=1e-8, atol=1e-10)


DIFFUSERS = {
    "FlowMatchEuler": ("FlowMatchEulerDiscreteScheduler", {}),
    "DDIM": ("DDIMScheduler", {"clip_sample": False}),
    "DPMSolverMultistep": ("DPMSolverMultistepScheduler", {}),
    "DEIS": ("DEISMultistepScheduler", {}),
    "UniPC": ("UniPCMultistepScheduler", {}),
    "Heun": ("HeunDiscreteScheduler", {}),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", DIFFUSERS)
def test_diffusers(benchmark, start, name):
    diffusers = pytest.importorskip("diffusers")
    component, options = DIFFUSERS[name]
    scheduler = getattr(diffusers, component)(**options)

    def loop():
        scheduler.set_timesteps(STEPS)
        x = start
        for t in scheduler.timesteps:
            asked = scheduler.scale_model_input(x, t) if name == "Heun" else x
            x = scheduler.step(echo(asked), t, x).prev_sample
        return x

    run(benchmark, loop, 2 * STEPS - 1 if name == "Heun" else STEPS)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["euler", "heun", "lms", "dpmpp_2m"])
def test_k_diffusion(benchmark, start, name):
    k = pytest.importorskip("k_diffusion").sampling
    sigmas, method = k.get_sigmas_karras(STEPS, 0.01, 80), getattr(k, f"sample_{name}")
    x = start * 80
    run(
        benchmark,
        lambda: method(lambda x, sigma: echo(x), x, sigmas, disable=True),
        2 * STEPS - 1 if name == "heun" else STEPS,
    )
