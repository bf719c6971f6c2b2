"""The page about processes is true: its code runs, and draws with what it defines."""

import re
from pathlib import Path

import pytest
import torch

from diffx_core import (
    PREDICTIONS,
    Batch,
    Condition,
    ConfigError,
    NetworkDenoiser,
    NoiseSource,
    Objective,
    Plan,
    Sampler,
    Scheduler,
    sample,
)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plugins" / "processes.md").read_text(encoding="utf-8")
SOURCES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PROCESSES = re.findall(r"^class (\w+)\(", "".join(SOURCES), re.MULTILINE)


@pytest.fixture(scope="module")
def names():
    """What the page defines, after all of it has run: the laws of the kit hold of its processes."""
    defined = {"__name__": "processes"}
    exec(compile("".join(SOURCES), "processes.md", "exec"), defined)  # running it is the test
    return defined


class Straight(Sampler[None]):
    def start(self, plan: Plan):
        return None

    def step(self, denoise, x, i, plan, state, noise):
        return denoise(x, plan.times[i]).mix(plan.alpha[i + 1], plan.sigma[i + 1]), state


def network(x, noise_label, cond):
    return torch.zeros_like(x)


def test_every_block_is_code_that_runs():
    assert PAGE.count("\n```") == 2 * len(SOURCES)


def test_every_process_of_the_page_is_held_to_the_laws():
    (proof,) = [source for source in SOURCES if "SCHEDULER_LAWS" in source]
    assert PROCESSES
    assert all(f"{name}()" in proof for name in PROCESSES)


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_of_the_page_trains_and_samples(names, name):
    process = names[name]()
    assert isinstance(process, Scheduler)
    denoiser = NetworkDenoiser(network, process, PREDICTIONS["edm"], sigma_data=0.5)
    cond = Condition(image=torch.ones(8, 2))
    assert Objective()(denoiser, Batch(torch.zeros(8, 2), cond), step=0).isfinite()
    x = sample(Straight(steps=5), denoiser, (2,), noise=NoiseSource(0, range(8)), cond=cond)
    assert x.shape == (8, 2)
    assert x.isfinite().all()


def test_what_the_page_prints_is_what_it_says(names):
    bridge, t = names["bridge"], names["t"]
    torch.testing.assert_close(bridge.alpha(t), 1 - t)
    torch.testing.assert_close(bridge.time_of(bridge.log_snr(t)), t, rtol=1e-12, atol=0)
    sigma = bridge.sigma(t)
    assert sigma[0] < sigma[1] < sigma[3]
    assert sigma[3] > sigma[4]


def test_the_missing_pairs_of_the_page_are_refused(names):
    with pytest.raises(ConfigError, match="needs a dataset of pairs"):
        names["Drawn"]().anchor(Condition())


def test_the_noise_of_the_page_is_that_of_the_package_beside_it(names):
    # z / sqrt(mean of D squares), written out a second time
    source = NoiseSource(0, [2, 5], dtype=torch.float64)
    found = names["HeavyTails"](D=3).noise(source, (4,), 1)
    scale = source.normal((3,), 1, 1).square().sum(1, keepdim=True).div(3).sqrt()
    torch.testing.assert_close(found, source.normal((4,), 1) / scale)


def test_the_page_is_linked_from_the_others():
    for page, link in (
        ("README.md", "docs/plugins/processes.md"),
        ("docs/plugins/hooks.md", "processes.md"),
    ):
        assert f"]({link})" in (ROOT / page).read_text(encoding="utf-8")
