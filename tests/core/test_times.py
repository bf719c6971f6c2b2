"""The times of grids that somebody wrote: of the process, from where sampling begins."""

import pytest
import torch
from attrs import frozen

from diffx_core import ConfigError, DataSpec, NoiseSource, Pipeline, sample
from diffx_core.testing import GaussianDenoiser
from diffx_core.testing.oracle import ReferenceVP
from diffx_samplers.ddim import DDIM
from diffx_samplers.repaint import RePaint

NOISE = NoiseSource(0, range(2))


def lists(scheduler, steps, t_max):
    return [t_max, t_max / 2, scheduler.t_min]


def nothing(scheduler, steps, t_max):
    return None


def beyond(scheduler, steps, t_max):
    return torch.linspace(2 * t_max, scheduler.t_min, steps + 1)


def late(scheduler, steps, t_max):
    return torch.linspace(t_max / 2, scheduler.t_min, steps + 1)


def below(scheduler, steps, t_max):
    return torch.linspace(t_max, scheduler.t_min - 0.1, steps + 1)


def rising(scheduler, steps, t_max):
    return torch.linspace(scheduler.t_min, t_max, steps + 1)


def broken(scheduler, steps, t_max):
    return torch.full((steps + 1,), torch.nan)


REFUSED = {
    lists: "the grid lists must give a tensor, got a list",
    nothing: "the grid nothing must give a tensor, got a NoneType",
    beyond: "the grid beyond has times from 2 down to 1e-05: it must begin at 1 and not go below",
    late: "the grid late has times from 0.5 down to 1e-05: it must begin at 1 and",
    below: "the grid below has times from 1 down to -0.09999",
    rising: "the grid rising does not have 3 falling times",
    broken: "the grid broken does not have 3 falling times",
}


@pytest.mark.parametrize(("grid", "message"), REFUSED.items(), ids=lambda one: str(one)[:20])
def test_times_of_no_process_are_refused(grid, message):
    model = GaussianDenoiser(ReferenceVP())
    with pytest.raises(ConfigError, match=message) as refused:
        sample(DDIM(steps=2, grid=grid), model, (3,), noise=NOISE)
    assert len(refused.value.problems) == 1
    assert model.calls == []


def test_the_ends_of_a_grid_may_be_rounded_and_are_exact():
    def rounded(scheduler, steps, t_max):
        return torch.linspace(t_max + 1e-7, scheduler.t_min - 1e-7, steps + 1)

    process = ReferenceVP()
    times = DDIM(steps=2, grid=rounded).times(process, 1.0)
    assert (float(times[0]), float(times[-1])) == (1.0, process.t_min)
    assert times.dtype == torch.float64


def test_a_grid_keeps_its_own_times():
    kept = torch.linspace(1 + 1e-7, ReferenceVP().t_min, 3, dtype=torch.float64)
    before = kept.clone()
    DDIM(steps=2, grid=lambda *_: kept).times(ReferenceVP(), 1.0)
    assert torch.equal(kept, before)


def test_an_edit_begins_where_its_strength_says():
    pipeline = Pipeline(GaussianDenoiser(ReferenceVP()), DataSpec((3,)))
    with pytest.raises(ConfigError, match="the grid beyond has times from"):
        pipeline.edit(torch.zeros(2, 3), 0.5, sampler=DDIM(steps=2, grid=beyond))


@frozen(kw_only=True)
class Often(DDIM):
    """Says that it makes very many calls."""

    @property
    def nfe(self):
        return 1_000_001


def test_more_calls_than_anybody_waits_for_are_refused():
    model = GaussianDenoiser(ReferenceVP())
    for sampler in (Often(), RePaint(steps=10_000, jump=1, resamples=1000)):
        with pytest.raises(ConfigError, match=r"would call the network \d+ times, and may"):
            sample(sampler, model, (3,), noise=NOISE)
    assert model.calls == []
