"""How accurate samplers are at few calls, on mixtures that no default was chosen on."""

from functools import partial

import pytest

from accuracy import CALLS, DEFAULT, REGISTRY, errors, errors_of_peer, mean
from peers.problems import PROCESSES, Mixture, process

SEEDS = range(200, 203)
STEPPING = [
    one.name
    for one in REGISTRY.all()
    if one.kind == "sampler"
    and one.distribution == "diffx-samplers"
    and one.name not in ("rk45", "parallel", "restart", "repaint")
]


@pytest.fixture(params=PROCESSES)
def name(request):
    return request.param


def test_the_exact_end_does_not_depend_on_the_steps_to_it():
    mixture = Mixture(200, 2)
    ends = mixture._integrate(1.0), mixture._integrate(1.0, 1200)
    assert float((ends[0] - ends[1]).square().mean().sqrt()) < 1e-6


def test_the_default_is_more_accurate_than_ddim(name):
    ddim = REGISTRY.find("sampler", "ddim").load()(grid="uniform")
    for calls in CALLS:
        better, worse = (mean(errors(one, name, calls, SEEDS)) for one in (DEFAULT, ddim))
        assert better < 0.75 * worse


def test_the_default_is_what_people_get():
    assert REGISTRY.find("sampler", "unipc").load()() == DEFAULT


@pytest.mark.parametrize("component", STEPPING)
def test_no_method_explodes_at_few_calls(name, component):
    sampler = REGISTRY.find("sampler", component).load()()
    spread = PROCESSES[name][1]
    for calls in (5, 9):
        # As far from the end of the ODE as independent samples are: sqrt(2) of the data's spread.
        assert max(errors(sampler, name, calls, SEEDS[:1])) < 2 * spread


def test_no_worse_than_the_same_method_and_grid_of_a_peer(name):
    pytest.importorskip("diffusers")
    pytest.importorskip("k_diffusion")
    from peers.pairs import PAIRS

    for title, (component, options, run) in PAIRS[name].items():
        sampler = REGISTRY.find("sampler", component).load()(**options, grid="flow")
        for calls in (5, 9):
            peer = partial(run, process(name)[0], sampler)
            found = errors_of_peer(peer, name, calls, SEEDS)
            assert mean(errors(sampler, name, calls, SEEDS)) <= 1.001 * mean(found), title
