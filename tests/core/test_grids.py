"""Time grids fall from the latest time to the end of the process."""

import math

import pytest
import torch

from diffx_core import ConfigError, NoiseSource, optimal_grid, sample
from diffx_core.grids import GRIDS, grid_named, logsnr
from diffx_core.testing import REFERENCE_PROCESSES, GaussianDenoiser, MixtureDenoiser
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVE, ReferenceVP
from diffx_samplers.ddim import DDIM
from diffx_samplers.dpmpp import DPMPP
from diffx_samplers.heun import Heun

WITH_PARAMETERS = ("karras:3", "time_shift:0.5", "ays:sdxl", "ays:svd", "ratios:20,3,0.5,0.01")
PROCESSES = pytest.mark.parametrize(
    "scheduler", REFERENCE_PROCESSES, ids=[type(s).__name__ for s in REFERENCE_PROCESSES]
)


def ratios(scheduler, times):
    """sigma / alpha."""
    return scheduler.sigma(times) / scheduler.alpha(times)


@pytest.mark.parametrize("name", [*GRIDS, *WITH_PARAMETERS])
@pytest.mark.parametrize("steps", [1, 2, 50])
@PROCESSES
def test_a_grid_falls_strictly_from_the_latest_time(name, steps, scheduler):
    times = grid_named(name)(scheduler, steps, 0.9)
    assert times.dtype == torch.float64
    assert times.shape == (steps + 1,)
    assert float(times[0]) == 0.9
    assert (times.diff() < 0).all()
    assert float(times[-1]) >= scheduler.t_min


def test_the_log_snr_grid_has_equal_steps_in_log_snr():
    levels = ReferenceVP().log_snr(logsnr(ReferenceVP(), 16, 1.0))
    assert torch.allclose(levels.diff(), levels.diff()[0].expand(16), rtol=1e-6)


def test_the_log_snr_grid_is_bounded_where_the_process_is_not():
    times = logsnr(ReferenceFlow(), 4, 1.0)
    assert float(times[0]) == 1.0
    assert float(ReferenceFlow().log_snr(times[-1])) == pytest.approx(2 * math.log(1e3), rel=1e-9)


@pytest.mark.parametrize("rho", [1.0, 3.0, 7.0])
@PROCESSES
def test_karras_has_equal_steps_in_a_root_of_the_ratio(rho, scheduler):
    found = ratios(scheduler, grid_named(f"karras:{rho}")(scheduler, 12, 0.9)) ** (1 / rho)
    assert torch.allclose(found.diff(), found.diff()[0].expand(12), rtol=1e-6)


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
@PROCESSES
def test_a_shift_multiplies_the_ratio_of_equal_steps_in_flow_time(shift, scheduler):
    """s = shift u / (1 + (shift - 1) u), with u in equal steps between the same ends."""
    times = grid_named(f"time_shift:{shift}")(scheduler, 12, 0.9)
    s = scheduler.sigma(times) / (scheduler.alpha(times) + scheduler.sigma(times))
    u = s / (shift - (shift - 1) * s)
    assert torch.allclose(u.diff(), u.diff()[0].expand(12), rtol=1e-6)
    assert float(times[-1]) == pytest.approx(scheduler.t_min, abs=1e-9)


def test_without_a_shift_that_is_the_flow_grid():
    flow, same = (grid_named(n)(ReferenceVP(), 9, 1.0) for n in ("flow", "time_shift:1"))
    assert torch.equal(flow, same)


def test_a_shift_of_rectified_flow_is_that_of_the_paper():
    """t_m = sqrt(m/n) t_n / (1 + (sqrt(m/n) - 1) t_n), here for t_n = 1, 0.75, 0.5, 0.25, 0."""
    times = grid_named("time_shift:2")(ReferenceFlow(), 4, 1.0)
    expected = torch.tensor([1.0, 6 / 7, 2 / 3, 0.4, 0.0], dtype=torch.float64)
    assert torch.allclose(times, expected, atol=1e-9)


def test_align_your_steps_has_the_published_levels():
    times = grid_named("ays:sdxl")(ReferenceVE(), 10, 1.0)
    published = [6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029]
    assert ratios(ReferenceVE(), times)[1:].tolist() == pytest.approx(published, rel=1e-9)
    assert float(times[0]) == 1.0


def test_between_the_values_of_a_table_the_logarithm_is_linear():
    times = grid_named("ratios:8,2,0.1")(ReferenceVP(), 4, 1.0)
    expected = [4, 2, (2 * 0.1) ** 0.5, 0.1]
    assert ratios(ReferenceVP(), times)[1:].tolist() == pytest.approx(expected, rel=1e-9)


def test_a_table_beyond_the_range_of_a_process_is_compressed_to_it():
    times = grid_named("ratios:1000,10,0.1,0.001")(ReferenceVE(), 3, 1.0)
    expected = [50, 50 ** (2 / 3) * 0.01 ** (1 / 3), 50 ** (1 / 3) * 0.01 ** (2 / 3), 0.01]
    assert ratios(ReferenceVE(), times).tolist() == pytest.approx(expected, rel=1e-9)


def test_levels_that_a_process_does_not_know_are_spread_over_those_that_it_knows():
    times = grid_named("ratios:900,600")(ReferenceVE(), 2, 1.0)
    assert (times.diff() < 0).all()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("karas", "needs one of uniform, quadratic"),
        ("uniform:2", "takes no parameter with uniform"),
        ("karras:-1", "needs a number > 0 after the colon"),
        ("karras:nan", "needs a number > 0 after the colon"),
        ("ays:flux", "needs one of sd15, sdxl, svd after the colon"),
        ("ratios:1,2", "needs two or more falling numbers"),
        ("ratios:5", "needs two or more falling numbers"),
        ("ratios", "needs one of uniform, quadratic"),
    ],
)
def test_a_grid_that_does_not_exist_is_refused_by_the_sampler(text, problem):
    with pytest.raises(ValueError, match=problem):
        DDIM(grid=text)


def test_neither_a_name_nor_a_function_is_no_grid():
    with pytest.raises(TypeError, match="needs the name of a grid or a function, not 3"):
        DDIM(grid=3)


def test_a_grid_of_ones_own_is_a_function():
    asked = []

    def halves(scheduler, steps, t_max):
        asked.append((scheduler, steps, t_max))
        return t_max * 0.5 ** torch.arange(steps + 1, dtype=torch.float64)

    denoiser = GaussianDenoiser(ReferenceVP())
    noise = NoiseSource(0, [0], dtype=torch.float64)
    sample(DDIM(steps=4, grid=halves), denoiser, (1,), noise=noise)
    assert asked == [(ReferenceVP(), 4, 1.0)]
    assert denoiser.calls == [1.0, 0.5, 0.25, 0.125]


@pytest.mark.parametrize("times", [[1.0, 0.5], [1.0, 0.5, 0.5], [0.0, 0.5, 1.0]])
def test_a_function_that_is_no_grid_is_refused(times):
    def wrong(scheduler, steps, t_max):
        return torch.tensor(times, dtype=torch.float64)

    with pytest.raises(ConfigError, match="does not have 3 falling times"):
        DDIM(steps=2, grid=wrong).times(ReferenceVP(), 1.0)


def teach(denoiser, teacher, steps, *, seed=5, dimensions=2):
    noise = NoiseSource(seed, range(64), dtype=torch.float64)
    return optimal_grid(teacher, denoiser, (dimensions,), steps=steps, noise=noise)


@pytest.fixture(scope="module")
def found():
    return teach(MixtureDenoiser(ReferenceVP()), Heun(steps=30, grid="flow"), 10)


@pytest.mark.parametrize("steps", [4, 6, 10])
@PROCESSES
def test_the_optimal_grid_beats_all_others_for_every_process(found, steps, scheduler):
    """Also for a process that it was not found for, and for noise that it has not seen."""
    denoiser, noise = MixtureDenoiser(scheduler), NoiseSource(0, range(128), dtype=torch.float64)
    best = sample(DPMPP(order=2, steps=2000, grid="flow"), denoiser, (2,), noise=noise)

    def error(grid):
        drawn = sample(DDIM(steps=steps, grid=grid), denoiser, (2,), noise=noise)
        return float((drawn - best).square().mean().sqrt())

    assert error(found) < min(error(name) for name in GRIDS)


def test_the_best_two_steps_are_those_that_trying_all_finds():
    denoiser, teacher = MixtureDenoiser(ReferenceVP()), Heun(steps=12, grid="flow")
    noise = NoiseSource(5, range(64), dtype=torch.float64)
    goal = sample(teacher, denoiser, (2,), noise=noise)
    times = teacher.times(ReferenceVP(), 1.0)

    def error(middle):
        chosen = torch.stack([times[0], times[middle], times[-1]])
        drawn = sample(DDIM(steps=2, grid=lambda *_: chosen), denoiser, (2,), noise=noise)
        return float((drawn - goal).square().mean())

    best = min(range(1, 12), key=error)
    assert 1 < best < 11
    grid = teach(denoiser, teacher, 2)(ReferenceVP(), 2, 1.0)
    assert float(grid[1]) == pytest.approx(float(times[best]), rel=1e-9)


def test_a_student_of_as_many_steps_as_the_teacher_follows_him():
    """The teacher is the student's own method, so any other way would miss."""
    teacher = DDIM(steps=6, grid="karras")
    grid = teach(MixtureDenoiser(ReferenceVP()), teacher, 6)
    followed = grid(ReferenceVP(), 6, 1.0)
    assert torch.allclose(followed, teacher.times(ReferenceVP(), 1.0), rtol=1e-9)


def test_the_optimal_grid_can_be_written_down(found):
    text = "ratios:" + ",".join(f"{ratio:.17g}" for ratio in found.ratios(7))
    same = grid_named(text)(ReferenceVP(), 7, 1.0)
    assert torch.allclose(found(ReferenceVP(), 7, 1.0), same, rtol=1e-9)


def test_other_numbers_of_steps_than_it_was_made_for_are_refused(found):
    with pytest.raises(ConfigError, match="was not made for 11 steps"):
        found(ReferenceVP(), 11, 1.0)


@pytest.mark.parametrize("steps", [0, 4])
def test_more_steps_than_the_teacher_takes_are_refused(steps):
    with pytest.raises(ConfigError, match=f"teacher of 3 steps cannot show the way in {steps}"):
        teach(MixtureDenoiser(ReferenceVP()), DDIM(steps=3), steps)


def test_a_teacher_that_draws_noise_is_refused():
    with pytest.raises(ConfigError, match="must be deterministic"):
        teach(GaussianDenoiser(ReferenceVP()), DDIM(eta=1.0), 3)
