"""How fast the device is, by batch size: told, and never a failure."""

from collections.abc import Callable, Iterator
from time import perf_counter

import torch

from diffx_cli.doctor.finding import Finding, Visit
from diffx_core.dataset import Batch, Condition
from diffx_core.denoiser import NetworkDenoiser
from diffx_core.objective import Objective
from diffx_core.pipeline import Pipeline

SIZES = (1, 8, 64)
SECONDS = 0.3
"""That one figure takes at least."""


def speed(visit: Visit) -> Iterator[Finding]:
    """Examples a second in training, and in a network call of sampling, for some batch sizes."""
    if visit.run is None:
        why = "there is no run, because training failed"
        yield Finding(part="speed", what="examples a second", status="told", detail=why)
        return
    model = Pipeline.load(visit.run, visit.registry, device=visit.device)
    denoiser = model.denoiser
    assert isinstance(denoiser, NetworkDenoiser)
    network = denoiser.backbone
    assert isinstance(network, torch.nn.Module)
    objective = Objective()
    for size in SIZES:
        x = torch.randn(size, *model.spec.shape, device=visit.device)
        batch = Batch(x, Condition(), torch.arange(size))

        def learn(batch: Batch = batch) -> None:
            network.zero_grad()
            objective(denoiser, batch).backward()

        @torch.no_grad()
        def call(x: torch.Tensor = x) -> None:
            denoiser(x, 0.5)

        rates = [size / _seconds(one, visit.device) for one in (learn, call)]
        detail = f"training {rates[0]:,.0f}, sampling {rates[1]:,.0f} examples/s"
        yield Finding(part="speed", what=f"in batches of {size}", status="told", detail=detail)


def _seconds(work: Callable[[], None], device: torch.device) -> float:
    """The shortest of several."""
    work()
    best, end = float("inf"), perf_counter() + SECONDS
    while perf_counter() < end:
        _wait(device)
        start = perf_counter()
        work()
        _wait(device)
        best = min(best, perf_counter() - start)
    return best


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
