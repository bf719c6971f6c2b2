"""A process in discrete time: exact on its grid, smooth in between, and like its table."""

import math
import pickle
from decimal import Decimal, localcontext

import attrs
import pytest
import torch

from diffx_core import ConfigError
from diffx_core.grids import legal
from diffx_schedulers.ddpm import DDPM
from diffx_schedulers.tables import TABLES


def exactly(betas):
    """abar, multiplied out with 60 digits."""
    with localcontext() as context:
        context.prec = 60
        product, table = Decimal(1), []
        for beta in betas.tolist():
            product *= 1 - Decimal(beta)
            table.append(product)
        return table


@pytest.mark.parametrize("T", [2, 40, 1000])
@pytest.mark.parametrize("table", TABLES)
def test_alpha_and_sigma_are_exact_on_the_grid(table, T):
    process = DDPM(table=table, T=T, beta_end=None if T > 20 or table == "cosine" else 1e-3)
    times = process.grid()
    with localcontext() as context:
        context.prec = 60
        table = exactly(process.betas)
        alpha = [float(abar.sqrt()) for abar in table]
        sigma = [float((1 - abar).sqrt()) for abar in table]
    assert process.alpha(times).tolist() == pytest.approx(alpha, rel=1e-12)
    assert process.sigma(times).tolist() == pytest.approx(sigma, rel=1e-12)


def test_the_betas_are_variances_and_the_data_fade_with_every_step(discrete):
    betas = discrete.betas
    assert betas.shape == (discrete.T,)
    assert ((betas > 0) & (betas < 1)).all()
    assert (discrete.alpha(discrete.grid()).diff() < 0).all()


def test_the_grid_rises_to_one_in_equal_steps(discrete):
    grid, T = discrete.grid(), discrete.T
    assert grid.dtype == torch.float64
    assert grid.tolist() == [(i + 1) / T for i in range(T)]


def test_the_network_is_told_the_number_of_the_level():
    process = DDPM()
    labels = process.noise_label(process.grid()).tolist()
    assert labels == pytest.approx(list(range(1000)), rel=1e-13, abs=1e-12)
    shorter = DDPM(T=50)
    assert shorter.noise_label(shorter.grid()).tolist() == pytest.approx(
        list(range(0, 1000, 20)), rel=1e-13, abs=1e-12
    )


@pytest.mark.parametrize("table", TABLES)
def test_nothing_is_left_of_the_data_at_zero_terminal_snr(table):
    plain, process = DDPM(table=table), DDPM(table=table, zero_terminal_snr=True)
    for dtype in (torch.float64, torch.float32):
        end = torch.tensor([1.0], dtype=dtype)
        assert process.alpha(end).tolist() == [0.0]
        assert process.sigma(end).tolist() == [1.0]
    first = process.grid()[:1]
    assert float(process.alpha(first)) == pytest.approx(float(plain.alpha(first)), rel=1e-15)
    # the rescaling is affine in alpha
    times = process.grid()
    old, new = plain.alpha(times), process.alpha(times)
    share = (old - old[-1]) / (old[0] - old[-1])
    assert torch.allclose(new, share * old[0], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("zero", [False, True])
def test_the_rate_at_a_grid_time_is_that_of_the_step_that_ends_there(zero):
    process = DDPM(T=40, zero_terminal_snr=zero)
    grid = process.grid()[:-1] if zero else process.grid()
    at_data = torch.zeros(1, dtype=torch.float64)
    log_abar = 2 * process.alpha(torch.cat([at_data, grid])).log()
    expected = process.T * log_abar.diff() / 2
    assert torch.allclose(process.drift(grid), expected, rtol=1e-11, atol=0)
    if not zero:
        step = (-process.betas).log1p() * process.T / 2
        assert torch.allclose(process.drift(grid), step, rtol=1e-12, atol=0)


def test_between_grid_times_the_logarithm_of_alpha_is_a_straight_line(discrete):
    edges = torch.cat([torch.zeros(1, dtype=torch.float64), discrete.grid()])
    if discrete.zero_terminal_snr:
        edges = edges[:-1]
    log_alpha = discrete.alpha(edges).log()
    for share in (0.25, 0.5):
        inside = discrete.alpha(torch.lerp(edges[:-1], edges[1:], share)).log()
        expected = torch.lerp(log_alpha[:-1], log_alpha[1:], share)
        assert torch.allclose(inside, expected, rtol=1e-12, atol=1e-15)


def test_alpha_falls_on_a_straight_line_to_a_zero():
    process = DDPM(T=10, table="cosine", zero_terminal_snr=True)
    last = torch.tensor([0.9, 0.925, 0.95, 0.975, 1.0], dtype=torch.float64)
    alpha = process.alpha(last)
    assert torch.allclose(alpha, alpha[0] * (1 - last) * 10, rtol=1e-13, atol=1e-16)
    assert torch.allclose(process.alpha_rate(last[1:]), -10 * alpha[0], rtol=1e-13)
    assert torch.allclose(process.time_of(process.log_snr(last)), last, rtol=1e-13)


def test_every_step_of_a_sampler_stops_at_a_time_of_the_table():
    process = DDPM(T=50)
    falling = legal(process, torch.linspace(1, 0, 51, dtype=torch.float64))
    assert torch.equal(falling[:-1].flip(0), process.grid())
    with pytest.raises(ConfigError, match="50 times: it cannot take 51 steps"):
        legal(process, torch.linspace(1, 0, 52, dtype=torch.float64))


def test_a_table_made_while_sampling_serves_training_later():
    process = DDPM(T=30)
    with torch.inference_mode():
        process.alpha(torch.tensor([0.5]))
    t = torch.tensor([0.51], dtype=torch.float64, requires_grad=True)
    process.alpha(t).backward()
    assert torch.allclose(t.grad, process.alpha_rate(t), rtol=1e-12)


def test_a_table_ignores_the_default_device():
    with torch.device("meta"):
        process = DDPM(table="dns", T=30, zero_terminal_snr=True)
        assert process.grid().device.type == "cpu"
        found = process.alpha(torch.tensor(1.0, device="cpu"))
    assert float(found) == 0.0


def test_a_changed_process_has_a_table_of_its_own():
    process = DDPM()
    assert process.betas.shape == (1000,)
    assert attrs.evolve(process, T=500).betas.shape == (500,)
    assert pickle.loads(pickle.dumps(process)) == process  # dataloader workers receive it so
    assert math.isclose(float(pickle.loads(pickle.dumps(process)).betas[0]), 1e-4)
