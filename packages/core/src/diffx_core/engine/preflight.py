"""One look at every component before the first step, so that a broken one is named."""

import torch

from diffx_core.dataset import Batch, Dataset, DataSpec
from diffx_core.denoiser import NetworkDenoiser
from diffx_core.engine.order import DataOrder
from diffx_core.errors import ComponentError
from diffx_core.scheduler import Scheduler


def preflight(
    denoiser: NetworkDenoiser, dataset: Dataset, order: DataOrder, device: torch.device
) -> None:
    """Raise a `ComponentError` if a component breaks its contract on the first batch.

    Raises:
        ConfigError: the process needs something of the data that they do not have.
    """
    batch = dataset.batch(order.indices(0)[:2]).to(device)
    check_batch(batch, dataset.spec)
    check_scheduler(denoiser.scheduler)
    check_anchor(denoiser.scheduler, batch)
    check_output(denoiser, batch)


def check_batch(batch: Batch, spec: DataSpec) -> None:
    """A batch has the shape, the numbers and the labels that the dataset announced."""
    x, label = batch.x, batch.cond.label
    if tuple(x.shape[1:]) != spec.shape:
        raise ComponentError("dataset", f"gives examples {tuple(x.shape[1:])}, says {spec.shape}")
    if not x.is_floating_point() or not x.isfinite().all():
        raise ComponentError("dataset", f"gives {x.dtype} values that are not all finite floats")
    context = batch.cond.context
    width = None if context is None else context.shape[-1]
    if width != spec.context:
        raise ComponentError("dataset", f"gives context tokens of {width}, says {spec.context}")
    count = None if batch.captions is None else len(batch.captions)
    if count != (len(x) if spec.captions else None):
        raise ComponentError("dataset", f"gives {count} captions, says captions {spec.captions}")
    image = None if batch.cond.image is None else tuple(batch.cond.image.shape)
    if spec.paired and image != tuple(x.shape):
        raise ComponentError(
            "dataset", f"gives images {image} beside {tuple(x.shape)}, says paired"
        )
    if (label is None) != (spec.num_classes is None):
        raise ComponentError("dataset", f"labels and num_classes {spec.num_classes} do not agree")
    if label is not None and spec.num_classes is not None:
        low, high = int(label.min()), int(label.max())
        if low < 0 or high >= spec.num_classes:
            raise ComponentError("dataset", f"gives labels {low}..{high} of {spec.num_classes}")


def check_scheduler(scheduler: Scheduler) -> None:
    """Alpha, sigma and the noise label are finite numbers, one for each time."""
    t = torch.linspace(scheduler.t_min, scheduler.t_max, 33, dtype=torch.float64)
    for name in ("alpha", "sigma", "noise_label"):
        value = getattr(scheduler, name)(t)
        if not isinstance(value, torch.Tensor) or value.shape != t.shape:
            raise ComponentError("scheduler", f"{name}(t) does not have the shape of t")
        if value.dtype != t.dtype:
            raise ComponentError("scheduler", f"{name}(t) is {value.dtype} for {t.dtype} times")
        if not value.isfinite().all():
            where = float(t[~value.isfinite()][0])
            raise ComponentError("scheduler", f"{name}(t) is not finite at t = {where:g}")


def check_anchor(scheduler: Scheduler, batch: Batch) -> None:
    """The anchor, if there is one, is a point for each example."""
    anchor = scheduler.anchor(batch.cond)
    if anchor is not None and anchor.shape != batch.x.shape:
        raise ComponentError(
            "scheduler", f"anchor is {tuple(anchor.shape)} for examples {tuple(batch.x.shape)}"
        )


def check_output(denoiser: NetworkDenoiser, batch: Batch) -> None:
    """The network returns finite numbers of the right shape, type and device."""
    scheduler = denoiser.scheduler
    t = torch.full((len(batch.x),), (scheduler.t_min + scheduler.t_max) / 2, device=batch.x.device)
    with torch.no_grad():
        output = denoiser(batch.x, t, batch.cond).output
    if output.dtype != batch.x.dtype or output.device != batch.x.device:
        raise ComponentError("backbone", f"returned {output.dtype} on {output.device}")
    if not output.isfinite().all():
        raise ComponentError("backbone", "returned numbers that are not finite")
