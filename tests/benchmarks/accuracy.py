"""How far samplers of diffx, diffusers and k-diffusion end from the exact end of the ODE.

    python tests/benchmarks/accuracy.py [choose] [same] [best]

choose: samplers and grids of diffx on some mixtures, by which the default was chosen. same: one
method on one grid, here and in the peers. best: the default beside the best single configuration
of the peers. The last two use mixtures that the first has not seen, and need diffusers and
k-diffusion (dependency group `bench`). Geometric means over the mixtures; exact network calls.
"""

import math
import sys
import warnings
from collections.abc import Iterable
from functools import partial
from itertools import chain

import torch

from diffx_core import ConfigError, NoiseSource, sample
from peers.problems import PROCESSES, REGISTRY, Exact, Mixture, process

CALLS = (5, 8, 10, 15, 20)
SIZES = (2, 64)
CHOSEN_ON = range(4)
REPORTED_ON = range(100, 106)
DEFAULT = REGISTRY.find("sampler", "unipc").load()(grid="flow")
SAMPLERS = {
    "ddim": {},
    "heun": {},
    "dpm_solver": {"order": 2},
    "dpmpp": {"order": 2},
    "dpmpp 3": {"order": 3},
    "unipc": {"order": 2},
    "unipc 3": {"order": 3},
    "unipc as published": {"order": 2, "variable": "logsnr"},
    "unipc 3 as published": {"order": 3, "variable": "logsnr"},
    "deis": {"order": 3},
    "ipndm": {"order": 4},
}
GRIDS = ("uniform", "quadratic", "logsnr", "karras", "flow")


def made(name, **options):
    """A sampler by the name of its row."""
    return REGISTRY.find("sampler", name.split()[0]).load()(**SAMPLERS[name], **options)


def mixtures(seeds, size, spread):
    """The mixtures of these seeds, made once, since each keeps the ends of its paths."""
    return [MADE.setdefault(key, Mixture(*key)) for key in ((one, size, spread) for one in seeds)]


MADE: dict[tuple[int, int, float], Mixture] = {}


def first_level(scheduler):
    """Sigma at the first time, and sigma / (alpha + sigma) there."""
    end = torch.tensor(scheduler.t_max, dtype=torch.float64)
    alpha, sigma = float(scheduler.alpha(end)), float(scheduler.sigma(end))
    return sigma, sigma / (alpha + sigma)


def error(sampler, scheduler, mixture):
    """The error of a sampler of diffx, whose calls are counted by the sampling loop."""
    sigma, s = first_level(scheduler)
    noise = NoiseSource(0, range(len(mixture.noise)), dtype=torch.float64)
    start = sigma * mixture.noise
    found = sample(sampler, Exact(scheduler, mixture), (mixture.size,), noise=noise, start=start)
    return mixture.error(found, round(s, 10))


def errors(sampler, name, calls, seeds, sizes=SIZES):
    """The errors for one process; none if the sampler cannot make so many calls."""
    scheduler, spread = process(name)
    try:
        exact = sampler.with_nfe(calls)
    except ConfigError:
        return []
    found = (mixtures(seeds, size, spread) for size in sizes)
    return [error(exact, scheduler, one) for group in found for one in group]


def errors_of_peer(run, name, calls, seeds, sizes=SIZES):
    """The errors of a peer; none if it makes another number of calls, or raises."""
    found = []
    for size in sizes:
        for mixture in mixtures(seeds, size, PROCESSES[name][1]):
            try:
                x, s, made_calls = run(mixture, calls)
            except (AssertionError, ConfigError, IndexError):
                return []
            if made_calls != calls:
                return []
            found.append(mixture.error(x, round(s, 10)))
    return found


def mean(values: Iterable[float]) -> float:
    """The geometric mean."""
    values = list(values)
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def cell(values):
    """A geometric mean, or a dash."""
    return f"{mean(values):.4f}" if values else "-"


def row(*cells):
    """A row of a table in Markdown."""
    print("|", " | ".join(cells), "|", flush=True)


def head(*cells):
    """The first two rows."""
    row(*cells)
    row(*["---"] * len(cells))


def choose():
    """Every sampler on every grid, and the mean over all processes and numbers of calls."""
    head("sampler", "grid", *(f"{name}, 10 / 20" for name in PROCESSES), "all, 5 to 20")
    for grid in GRIDS:
        for one in SAMPLERS:
            sampler = made(one, grid=grid)
            found = {
                (name, calls): errors(sampler, name, calls, CHOSEN_ON)
                for name in PROCESSES
                for calls in CALLS
            }
            cells = [f"{cell(found[name, 10])} / {cell(found[name, 20])}" for name in PROCESSES]
            whole = [value for values in found.values() for value in values]
            row(one, grid, *cells, cell(whole) if all(found.values()) else "-")


def best():
    """The default beside the peer configuration with the lowest mean over all numbers of calls."""
    from peers.rivals import RIVALS

    columns = [f"{calls}" for calls in CALLS]
    head("process", "method", "worst of all cells", *columns, "all", "10 / 20, each mixture")
    for name in PROCESSES:
        runs = {f"peer: {one}": partial(errors_of_peer, run) for one, run in RIVALS[name]().items()}
        tables = {
            title: [find(name, calls, REPORTED_ON) for calls in CALLS]
            for title, find in (("diffx: default", partial(errors, DEFAULT)), *runs.items())
        }
        whole = {title: mean(chain(*cells)) for title, cells in tables.items() if all(cells)}
        first, *others = sorted(whole, key=lambda title: (title[0] != "d", whole[title]))
        for title in (first, *others[:2]):
            cells = tables[title]
            ranges = (f"{min(cells[i]):.4f} to {max(cells[i]):.4f}" for i in (2, 4))
            worst = f"{max(map(max, cells)):.2f}"
            row(name, title, worst, *map(cell, cells), f"{whole[title]:.4f}", " / ".join(ranges))


def same():
    """One method on one grid: the error here and that of the peer, geometric means."""
    from peers.pairs import PAIRS

    head("process", "method", "grid", *(f"{calls}: diffx / peer" for calls in CALLS))
    for name in PROCESSES:
        for title, (component, options, run) in PAIRS[name].items():
            for grid in ("flow", "logsnr"):
                sampler = REGISTRY.find("sampler", component).load()(**options, grid=grid)
                cells = []
                for calls in CALLS:
                    ours = errors(sampler, name, calls, REPORTED_ON)
                    peer = partial(run, process(name)[0], sampler)
                    cells.append(
                        f"{cell(ours)} / {cell(errors_of_peer(peer, name, calls, REPORTED_ON))}"
                    )
                row(name, title, grid, *cells)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for word in sys.argv[1:] or ["choose", "same", "best"]:
        {"choose": choose, "same": same, "best": best}[word]()
        print()
