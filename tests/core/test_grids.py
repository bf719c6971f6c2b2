"""Time grids fall from the latest time to the end of the process."""

import math

import pytest
import torch

from diffx_core.grids import GRIDS, logsnr
from diffx_core.testing import REFERENCE_PROCESSES
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVP


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("steps", [1, 2, 50])
@pytest.mark.parametrize(
    "scheduler", REFERENCE_PROCESSES, ids=[type(s).__name__ for s in REFERENCE_PROCESSES]
)
def test_a_grid_falls_strictly_from_the_latest_time(name, steps, scheduler):
    times = GRIDS[name](scheduler, steps, 0.9)
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
