"""Every scheduler with every sampler and every prediction, on a problem whose answer is known.

What a prediction says is read back before a sampler sees it, so it cannot change the order: that is
measured once for each pair, and for each prediction that the samples are the same.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal

from attrs import evolve, frozen

from diffx_cli.line.request import Chosen
from diffx_core import PREDICTIONS, Sampler, Scheduler, require
from diffx_core.config import REQUIRED, options_of
from diffx_core.errors import ConfigError, DiffxError, one_line, reason
from diffx_core.options import PredictionName
from diffx_core.plugins import Plugin
from diffx_core.plugins.isolation import IsolatedError, isolated
from diffx_core.plugins.registered import Registered
from diffx_core.testing.predicted import disagreement
from diffx_core.testing.sampler_laws import ORDER_TOLERANCE, measured_order, unmeasurable

Status = Literal["ok", "refused", "failed"]

STEPS = 8
"""Of the samples that are compared."""
GRIDS: tuple[int, ...] = (80, 160, 320)
"""Steps between which orders are read: coarser than those of the law, and within its tolerance."""
MOST_CALLS = 2000
"""Of the network on the finest grid; a sampler that calls more often is read on coarser ones."""
SAME = 1e-9
"""How far samples of one mixture may be apart that are read through different predictions."""


@frozen(kw_only=True)
class Crossing:
    """What came of a scheduler, a sampler and a prediction; or of a plugin that did not load.

    Args:
        status: whether they work together; refused if they say themselves that they cannot.
        scheduler: the process.
        sampler: the method.
        prediction: what the network says.
        plugin: the plugin, if it is about one.
        order: the measured order; None if it cannot be measured.
        declared: the order that the sampler declares.
        difference: from samples without the prediction.
        reason: why it is not ok, or why the order is not known.
    """

    status: Status
    scheduler: Registered | None = None
    sampler: Registered | None = None
    prediction: PredictionName | None = None
    plugin: Plugin | None = None
    order: float | None = None
    declared: int | None = None
    difference: float | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """The crossing as plain JSON types; a figure that is not finite is null."""
        plugin = self.plugin
        return {
            "status": self.status,
            "scheduler": None if self.scheduler is None else _identity(self.scheduler),
            "sampler": None if self.sampler is None else _identity(self.sampler),
            "prediction": self.prediction,
            "plugin": plugin and {"name": plugin.entry, "distribution": plugin.distribution},
            "order": _finite(self.order),
            "declared": self.declared,
            "difference": _finite(self.difference),
            "reason": self.reason,
        }


@frozen
class Side:
    """A scheduler or a sampler with its default options, or why there is none."""

    registered: Registered
    component: Any = None
    reason: str = ""


def crossings(
    schedulers: Sequence[Registered],
    samplers: Sequence[Registered],
    predictions: Sequence[PredictionName],
    broken: Sequence[Plugin] = (),
) -> Iterator[Crossing]:
    """All of them, and a row for each broken plugin."""
    processes, methods = [built(one) for one in schedulers], [built(one) for one in samplers]
    for method in methods:
        for process in processes:
            for found in _pair(process, method, predictions):
                yield evolve(found, scheduler=process.registered, sampler=method.registered)
    for plugin in broken:
        yield Crossing(status="failed", plugin=plugin, reason=plugin.diagnosis)


def built(registered: Registered) -> Side:
    """The component with its default options, as far as it can be built."""
    try:
        target = registered.load()
        values = {one.name: one.default for one in options_of(target)}
        missing = [name for name, default in values.items() if default is REQUIRED]
        if missing:
            raise ConfigError(f"{registered.label} has no default for {', '.join(missing)}")
        with isolated(""):
            component = Chosen(registered=registered, target=target, options=values).build()
    except IsolatedError as failure:
        return Side(registered, reason=reason(failure.__cause__ or failure))
    except DiffxError as error:
        return Side(registered, reason=one_line(str(error)))
    return Side(registered, component)


def _pair(process: Side, method: Side, predictions: Sequence[PredictionName]) -> Iterator[Crossing]:
    scheduler, sampler = process.component, method.component
    if scheduler is None or sampler is None:
        why = process.reason or method.reason
        yield from (Crossing(status="failed", prediction=one, reason=why) for one in predictions)
        return
    names = (method.registered.label, process.registered.label)
    pair = _guarded(partial(_order, sampler, scheduler, names))
    for prediction in predictions:
        found = pair
        if pair.status != "refused":
            found = _guarded(partial(_read, sampler, scheduler, prediction, pair))
        yield evolve(found, prediction=prediction)


def _guarded(measure: Callable[[], Crossing]) -> Crossing:
    try:
        with isolated(""):
            found = measure()
    except IsolatedError as failure:
        cause = failure.__cause__ or failure
        status: Status = "refused" if isinstance(cause, ConfigError) else "failed"
        return Crossing(status=status, reason=reason(cause))
    return found


def _order(sampler: Sampler[Any], scheduler: Scheduler, names: tuple[str, str]) -> Crossing:
    """Refused, or with the order as far as it can be measured."""
    require(evolve(sampler, steps=STEPS), scheduler, names)
    declared = sampler.rate
    if why := unmeasurable(sampler, scheduler):
        return Crossing(status="ok", declared=declared, reason=f"no order: {why}")
    order = measured_order(sampler, scheduler, _affordable(sampler))
    # A leading term that vanishes for one process may raise the order there.
    if order >= declared - ORDER_TOLERANCE:
        return Crossing(status="ok", declared=declared, order=order)
    why = f"the error falls with order {order:.2f}, declared is {declared}"
    return Crossing(status="failed", declared=declared, order=order, reason=why)


def _affordable(sampler: Sampler[Any]) -> tuple[int, ...]:
    """The grids, halved as often as it takes."""
    grids = GRIDS
    while (evolve(sampler, steps=grids[-1]).nfe or 0) > MOST_CALLS and grids[0] > STEPS:
        grids = tuple(steps // 2 for steps in grids)
    return grids


def _read(
    sampler: Sampler[Any], scheduler: Scheduler, prediction: PredictionName, pair: Crossing
) -> Crossing:
    """The same, if the samples do not depend on the prediction."""
    difference = disagreement(evolve(sampler, steps=STEPS), scheduler, PREDICTIONS[prediction])
    found = evolve(pair, difference=difference)
    if difference <= SAME or pair.status != "ok":
        return found
    why = f"samples differ by {difference:.2g} from those without the prediction"
    return evolve(found, status="failed", reason=why)


def _identity(registered: Registered) -> dict[str, str]:
    return {
        "name": registered.name,
        "qualified": registered.qualified,
        "distribution": registered.distribution,
        "version": registered.version,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
