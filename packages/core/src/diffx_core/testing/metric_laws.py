"""What must hold of every metric: it tells bad examples from good ones, and repeats itself.

The data are drawn from known laws: the real and the good ones from the same, the bad ones from
another that is far off in every direction.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from diffx_core.errors import ConfigError
from diffx_core.metric import Metric
from diffx_core.testing.dataset_laws import share_of
from diffx_core.testing.global_state import left_alone
from diffx_core.testing.law import Law, Measurement

COUNT = 120
WIDTH = 8
FAR = 4.0
"""How far bad features are off in every direction, in standard deviations."""
CONFIDENT = 9.0
"""The logit by which a good example is of its class."""
OFFSET = 100.0
"""What all values lie above zero, where small differences of large numbers are looked for."""


def _normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _enough(metric: Metric) -> int:
    """How many examples of either sort there are, if nothing else is said."""
    return max(COUNT, 2 * metric.least)


def _real(metric: Metric, seed: int = 0, count: int | None = None) -> Tensor:
    """What the metric reads of real examples."""
    count = _enough(metric) if count is None else count
    if metric.reads == "examples":
        ramp = torch.linspace(-1, 1, WIDTH).expand(count, 1, WIDTH, WIDTH)
        return ramp * _normal(seed, count, 1, 1, 1)
    if metric.reads == "logits":
        classes = torch.arange(count) % WIDTH
        return _normal(seed, count, WIDTH) + CONFIDENT * torch.eye(WIDTH)[classes]
    return _normal(seed, count, WIDTH)


def _bad(metric: Metric) -> Tensor:
    """The same of examples that are nothing like them."""
    count = _enough(metric)
    if metric.reads == "examples":
        return _normal(9, count, 1, WIDTH, WIDTH)
    if metric.reads == "logits":
        return _normal(9, count, WIDTH)
    return _normal(9, count, WIDTH) + FAR


def _declared(metric: Metric) -> Measurement:
    found = metric.measure(_real(metric, 1), _real(metric), seed=0)
    numbers = all(type(one) is float and math.isfinite(one) for one in found.values())
    return share_of(not (found and numbers and tuple(found) == metric.figures))


def _better(metric: Metric) -> Measurement:
    real = _real(metric)
    good = metric.measure(_real(metric, 1), real, seed=0)
    bad = metric.measure(_bad(metric), real, seed=0)
    sign = 1 if metric.lower_is_better else -1
    wrong = [name for name in metric.figures if not sign * (bad[name] - good[name]) > 0]
    return share_of(bool(wrong), ", ".join(wrong))


def _order(metric: Metric) -> Measurement:
    made, real = _real(metric, 1), _real(metric)
    mixed = torch.randperm(len(made), generator=torch.Generator().manual_seed(3))
    found = metric.measure(made, real, seed=0)
    moved = metric.measure(made[mixed], real.flip(0), seed=0)
    return _apart(found, moved, 1e-6)


def _precision(metric: Metric) -> Measurement:
    made, real = _real(metric, 1) + OFFSET, _real(metric) + OFFSET
    found = metric.measure(made, real, seed=0)
    exact = metric.measure(made.double(), real.double(), seed=0)
    return _apart(found, exact, 1e-4)


def _again(metric: Metric) -> Measurement:
    made, real = _real(metric, 1), _real(metric)
    found = [dict(metric.measure(made, real, seed=5)) for _ in range(2)]
    return share_of(found[0] != found[1])


def _sizes(metric: Metric) -> Measurement:
    many = _enough(metric)
    some = many // 2 + 1
    return _finite(metric, (some, many), (many, some))


def _finite(metric: Metric, *counts: tuple[int, int]) -> Measurement:
    """Whether all figures are finite of so many made and real examples."""
    wrong = [
        f"{name} {value} of {n} made and {m} real"
        for n, m in counts
        for name, value in metric.measure(_real(metric, 1, n), _real(metric, 0, m), seed=0).items()
        if not math.isfinite(value)
    ]
    return share_of(bool(wrong), ", ".join(wrong[:1]))


def _given(metric: Metric) -> Measurement:
    made, real = _real(metric, 1), _real(metric)
    metric.measure(made, real, seed=0)
    same = torch.equal(made, _real(metric, 1)) and torch.equal(real, _real(metric))
    return share_of(not same)


def _few(metric: Metric) -> Measurement:
    if metric.least < 2:
        return Measurement(0.0, 0.0, "it takes one", measured=False)
    few = _real(metric, 1, metric.least - 1)
    for made, real in ((few, _real(metric)), (_real(metric), few)):
        try:
            metric.measure(made, real, seed=0)
        except ConfigError:
            continue
        return share_of(1.0)
    many = _enough(metric)
    return _finite(metric, (metric.least, many), (many, metric.least))


def _global_state(metric: Metric) -> Measurement:
    made, real = _real(metric, 1), _real(metric)
    return left_alone(lambda: metric.measure(made, real, seed=0))


def _names(metric: Metric) -> Measurement:
    called = {metric.called(one, features) for one in metric.figures for features in ("a", "b")}
    return share_of(len(called) < 2 * len(metric.figures))


def _apart(found: Mapping[str, float], other: Mapping[str, float], tolerance: float) -> Measurement:
    """The largest relative distance of two sets of figures; infinite if one is not a number."""
    apart = {name: abs(one - other[name]) / max(1.0, abs(one)) for name, one in found.items()}
    lost = [name for name, figure in apart.items() if math.isnan(figure)]
    worst = lost[0] if lost else max(apart, key=lambda name: apart[name])
    return Measurement(math.inf if lost else apart[worst], tolerance, worst)


METRIC_LAWS: tuple[Law[Metric], ...] = (
    Law("it measures the figures that it declares", _declared),
    Law("examples of another law are worse", _better),
    Law("the order of the examples does not matter", _order),
    Law("single precision is enough", _precision),
    Law("the same seed gives the same numbers", _again),
    Law("there may be more examples of one sort", _sizes),
    Law("what it is given is not changed", _given),
    Law("as few as it needs are enough, and fewer are refused", _few),
    Law("figures of other features have other names", _names),
    Law("global random numbers are left alone", _global_state),
)
