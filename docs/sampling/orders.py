"""Makes the table of docs/sampling/orders.md: `python docs/sampling/orders.py` prints the page."""

import sys
from collections.abc import Iterator
from typing import Any

from diffx_core import Sampler
from diffx_core.plugins import Registry
from diffx_core.testing.oracle import ReferenceVP
from diffx_core.testing.sampler_laws import measured_order, unmeasurable

METHODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ddim", {}),
    ("ddim", {"eta": 1.0}),
    ("ddpm", {}),
    ("ddpm", {"variance": "large"}),
    ("euler", {}),
    ("euler_maruyama", {}),
    ("euler_maruyama", {"stochasticity": "sigma"}),
    ("heun", {}),
    ("heun", {"coords": "edm"}),
    ("heun", {"s_churn": 20.0}),
    ("sde_heun", {}),
    ("dpm_solver", {"order": 2}),
    ("dpm_solver", {"order": 3}),
    ("dpm_solver", {"order": 2, "end": "eps"}),
    ("dpm_solver", {"order": 3, "end": "eps"}),
    ("dpmpp", {"order": 1}),
    ("dpmpp", {"order": 2}),
    ("dpmpp", {"order": 3}),
    ("dpmpp", {"order": 3, "variant": "published"}),
    ("dpmpp", {"order": 2, "tau": 1.0}),
    ("dpmpp", {"order": 3, "tau": 1.0}),
    ("unipc", {"order": 1}),
    ("unipc", {"order": 2}),
    ("unipc", {"order": 3}),
    ("unipc", {"order": 3, "corrector": False}),
    ("unipc", {"order": 2, "variable": "flow"}),
    ("unipc", {"order": 3, "variable": "flow"}),
    ("deis", {"order": 2}),
    ("deis", {"order": 3}),
    ("deis", {"order": 4}),
    ("ipndm", {"order": 2}),
    ("ipndm", {"order": 4}),
    ("sa_solver", {"tau": 0.0, "predictor": 2}),
    ("sa_solver", {}),
    ("restart", {}),
    ("repaint", {"jump": 5, "resamples": 2}),
    ("parallel", {"tolerance": 0.0}),
    ("pc", {"corrector_steps": 0}),
)
"""The methods, each with the options that decide on its order."""

HEAD = """\
# Measured orders

Made by `python docs/sampling/orders.py`; do not edit.

If a sampler is of order p, half the step size makes the error 2^p times smaller. Here is what it
really is. The data are a mixture of two Gaussians in one dimension, whose denoiser is known
exactly; sigma / alpha goes from 10 to 0.05 in 160, 320 and 640 steps that are equal in log-SNR, and
the order is the slope of the error in the limit. For a method without noise the error is the
distance from the end of the probability-flow ODE, and a method that looks back starts with exact
points. For a method with noise it is that of mean and variance of the result, on Gaussian data of
three widths, where they follow to rounding from the response to each single noise: no random number
is drawn. The process is a variance-preserving one; these methods are the same maps for every
process ([the matrix](../matrix.md)).

"""
TAIL = """
What stands out:

* `dpmpp` with `variant=published` has the formula of the papers, which lacks a factor 2: it is of
  second order. The default is of third.
* A multistep method that is not given exact points starts with a step of first order, and that
  leaves an error of second order, small as it is. The corrector of `unipc` mends it.
* `ipndm` takes the weights of equal steps on steps that are not equal, so its order is 2 whatever
  it is asked for. `deis` weighs steps as they are.
* Noise limits `dpmpp` and `sa_solver` to second order.
"""
COLUMNS = ("sampler", "options", "noise", "calls in 10 steps", "declared", "measured")


def methods(registry: Registry) -> Iterator[tuple[str, str, Sampler[Any]]]:
    """Name, options and sampler of each row."""
    for name, options in METHODS:
        sampler = registry.find("sampler", f"diffx-samplers:{name}").load()(steps=10, **options)
        yield name, ", ".join(f"{key}={value}" for key, value in options.items()), sampler


def rows(registry: Registry) -> Iterator[tuple[str, ...]]:
    """The table, without its heading."""
    process = ReferenceVP()
    for name, options, sampler in methods(registry):
        calls = "as needed" if sampler.nfe is None else str(sampler.nfe)
        noise = "yes" if sampler.stochastic else "no"
        assert not unmeasurable(sampler, process), name
        measured = f"{measured_order(sampler, process):.2f}"
        yield name, options, noise, calls, str(sampler.rate), measured


def page(registry: Registry) -> str:
    """The page."""
    table = [COLUMNS, ("---",) * len(COLUMNS), *rows(registry)]
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in table) + TAIL


if __name__ == "__main__":
    sys.stdout.write(page(Registry.load({})))
