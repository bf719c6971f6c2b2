"""What must hold of every metric: it tells bad examples from good ones, and repeats itself.

The data are drawn from known laws: the real and the good ones from the same, the bad ones from
another that is far off in every direction.
"""

import math

import torch
from torch import Tensor

from diffx_core.errors import ConfigError
from diffx_core.metric import Metric
from diffx_core.testing.dataset_laws import random_states, share_of
from diffx_core.testing.law import Law, Measurement

COUNT = 120
WIDTH = 8
FAR = 4.0
"""How far bad features are off in every direction, in standard deviations."""
CONFIDENT = 9.0
"""The logit by which a good example is of its class."""


def _normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _real(metric: Metric, seed: int = 0, count: int = COUNT) -> Tensor:
    """What the metric reads of real examples."""
    if metric.reads == "examples":
        ramp = torch.linspace(-1, 1, WIDTH).expand(count, 1, WIDTH, WIDTH)
        return ramp * _normal(seed, count, 1, 1, 1)
    if metric.reads == "logits":
        classes = torch.arange(count) % WIDTH
        return _normal(seed, count, WIDTH) + CONFIDENT * torch.eye(WIDTH)[classes]
    return _normal(seed, count, WIDTH)


def _bad(metric: Metric, count: int = COUNT) -> Tensor:
    """The same of examples that are nothing like them."""
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
    mixed = torch.randperm(COUNT, generator=torch.Generator().manual_seed(3))
    found = metric.measure(made, real, seed=0)
    moved = metric.measure(made[mixed], real.flip(0), seed=0)
    return _apart(found, moved, 1e-6)


def _precision(metric: Metric) -> Measurement:
    made, real = _real(metric, 1), _real(metric)
    found = metric.measure(made, real, seed=0)
    exact = metric.measure(made.double(), real.double(), seed=0)
    return _apart(found, exact, 1e-4)


def _again(metric: Metric) -> Measurement:
    made, real = _real(metric, 1), _real(metric)
    found = [dict(metric.measure(made, real, seed=5)) for _ in range(2)]
    return share_of(found[0] != found[1])


def _sizes(metric: Metric) -> Measurement:
    found = metric.measure(_real(metric, 1, COUNT // 2 + 1), _real(metric), seed=0)
    return share_of(not all(map(math.isfinite, found.values())))


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
    found = metric.measure(_real(metric, 1, metric.least), _real(metric), seed=0)
    return share_of(not all(map(math.isfinite, found.values())))


def _global_state(metric: Metric) -> Measurement:
    before = random_states()
    metric.measure(_real(metric, 1), _real(metric), seed=0)
    return share_of(random_states() != before)


def _names(metric: Metric) -> Measurement:
    called = {metric.called(one, features) for one in metric.figures for features in ("a", "b")}
    return share_of(len(called) < 2 * len(metric.figures))


def _apart(found: object, other: object, tolerance: float) -> Measurement:
    """The largest relative distance of two sets of figures."""
    assert isinstance(found, dict)
    assert isinstance(other, dict)
    figure, name = max(
        (abs(one - other[name]) / max(1.0, abs(one)), name) for name, one in found.items()
    )
    return Measurement(figure, tolerance, name)


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
