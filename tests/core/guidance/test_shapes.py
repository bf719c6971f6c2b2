"""Masks and measurements that fit no sample are refused, in one line, before the model is asked."""

import pytest
import torch
from attrs import frozen

from diffx_core import (
    DPS,
    Autoguidance,
    Blur,
    ClassifierFreeGuidance,
    Condition,
    ConfigError,
    DataSpec,
    Downsample,
    Grey,
    Mask,
    NoiseSource,
    PiGDM,
    Pipeline,
    Replacement,
    SwappedProcess,
    sample,
)
from diffx_core.guidance.operators import LinearOperator
from diffx_core.testing import GaussianDenoiser
from diffx_core.testing.oracle import ReferenceFlow, ReferenceVP
from diffx_samplers.ddim import DDIM

SHAPE = (3, 8, 8)
NOISE = NoiseSource(0, range(4))


@frozen(eq=False)
class Odd(LinearOperator):
    """Somebody's own, for vectors of five."""

    def __call__(self, x):
        return x @ torch.ones(5, 5)

    def adjoint(self, y):
        return y

    def solve(self, y, r, s):
        return y


def of(shape):
    return torch.zeros(shape)


def replaced(mask, y):
    return lambda inner: Replacement(inner, mask=Mask(of(mask)), measurement=of(y), noise=NOISE)


def measured(operator, y, kind=DPS):
    return lambda inner: kind(inner, operator=operator, measurement=of(y))


REFUSED = {
    "mask": (
        replaced((1, 5, 5), SHAPE),
        r"a mask of shape \(1, 5, 5\) does not fit samples of shape \(4, 3, 8, 8\)",
    ),
    "wider mask": (replaced((2, 1, 3, 8, 8), SHAPE), r"a mask of shape \(2, 1, 3, 8, 8\)"),
    "mask of others": (replaced((2, 3, 8, 8), SHAPE), r"a mask of shape \(2, 3, 8, 8\)"),
    "image": (
        replaced((8, 8), (3, 4, 4)),
        r"a measurement of shape \(3, 4, 4\) does not fit \(4, 3, 8, 8\), which is what the sample",
    ),
    "mask to measure": (measured(Mask(of((5,))), SHAPE), r"a mask of shape \(5\)"),
    "measurement": (
        measured(Downsample(2), (4, 3, 8, 8)),
        r"\(4, 3, 8, 8\) does not fit \(4, 3, 4, 4\), which is what Downsample makes of",
    ),
    "measurement of others": (measured(Blur(1.0), (2, 3, 8, 8), PiGDM), "one for all samples, or"),
    "sides": (measured(Downsample(3), (3, 2, 2)), r"Downsample\(3\) needs images .* \(4, 3, 8, 8"),
    "own operator": (measured(Odd(), SHAPE), r"Odd cannot measure samples of shape \(4, 3, 8, 8"),
}


@pytest.mark.parametrize(("wrap", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("way", ["drawing", "sample", "swapped", "weak"])
def test_what_fits_no_sample_is_refused_before_the_model_is_asked(wrap, message, way):
    model = GaussianDenoiser(ReferenceVP())

    def draw():
        if way == "sample":
            return sample(DDIM(steps=3), wrap(model), SHAPE, noise=NOISE)
        guidance = {
            "drawing": wrap,
            "swapped": lambda inner: SwappedProcess(wrap(inner), ReferenceFlow()),
            "weak": lambda inner: Autoguidance(inner, 2.0, weak=wrap(inner)),
        }
        return Pipeline(model, DataSpec(SHAPE)).drawing(4, guidance=guidance[way])

    with pytest.raises(ConfigError, match=message) as refused:
        draw()
    assert len(refused.value.problems) == 1
    assert "\n" not in str(refused.value)
    assert model.calls == []


@pytest.mark.parametrize("shape", [(1, 8, 8), (8, 8), (3,)])
def test_grey_is_made_of_three_colours(shape):
    model = GaussianDenoiser(ReferenceVP())
    guided = measured(Grey(), (1, 8, 8))(model)
    with pytest.raises(ConfigError, match=r"Grey needs images of three colours \(n, 3, H, W\)"):
        sample(DDIM(steps=3), guided, shape, noise=NOISE)
    assert model.calls == []


@pytest.mark.parametrize("shape", [(8,), (4, 4)])
@pytest.mark.parametrize("operator", [Downsample(2), Blur(1.0)], ids=["downsample", "blur"])
def test_what_is_no_image_is_not_measured_as_one(operator, shape):
    if (type(operator), shape) == (Blur, (4, 4)):  # blurred as images without channels
        assert operator(torch.ones(2, *shape)).shape == (2, *shape)
        return
    with pytest.raises(ConfigError, match=r"needs images \(n, C, H, W\)"):
        operator(torch.ones(2, *shape))


@pytest.mark.parametrize("factor", [0, -1, 1.5])
def test_a_factor_is_a_whole_number(factor):
    with pytest.raises(ConfigError, match="the factor of Downsample must be a whole number"):
        Downsample(factor)


@pytest.mark.parametrize("y", [SHAPE, (1, *SHAPE), (4, *SHAPE), (8, 8), (3, 1, 1)])
def test_one_measurement_for_all_or_each_fits(y):
    mask = Mask(torch.ones(8, 8))
    for wrap in (measured(mask, y), replaced((4, 1, 8, 8), y)):
        drawing = Pipeline(GaussianDenoiser(ReferenceVP()), DataSpec(SHAPE)).drawing(
            4, sampler=DDIM(steps=2), guidance=wrap
        )
        assert drawing.samples().isfinite().all()


def test_measurements_of_each_are_not_drawn_in_parts():
    model = GaussianDenoiser(ReferenceVP())
    wrap = measured(Mask(torch.ones(8, 8)), (4, *SHAPE))
    drawing = Pipeline(model, DataSpec(SHAPE)).drawing(4, guidance=wrap)
    with pytest.raises(ConfigError, match=r"\(4, 3, 8, 8\) does not fit \(2, 3, 8, 8\)"):
        drawing.samples(batch_size=2)
    assert model.calls == []


def test_measurements_of_each_are_not_doubled():
    model = GaussianDenoiser(ReferenceVP())
    inside = measured(Mask(torch.ones(8, 8)), (4, *SHAPE))(model)
    with pytest.raises(ConfigError, match="with classifier-free guidance inside"):
        ClassifierFreeGuidance(inside, 2.0)(
            torch.zeros(4, *SHAPE), 0.5, Condition(torch.zeros(4, dtype=torch.long))
        )
    assert model.calls == []


@pytest.mark.parametrize("width", [1.5, 3.0, 8.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_blur_without_noise_is_undone_as_far_as_anything_is_left(width, dtype):
    """What the blur leaves nothing of is not made up: samples stay as large as the data."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, 1, 16, 16, dtype=torch.float64, generator=generator).to(dtype)
    operator = Blur(width)
    y = operator(image)
    model = PiGDM(GaussianDenoiser(ReferenceVP(), 0.0, 1.0), operator=operator, measurement=y)
    noise = NoiseSource(0, range(2), dtype=dtype)
    found = sample(DDIM(steps=40, grid="flow"), model, (1, 16, 16), noise=noise)
    assert float(found.abs().max()) < 6
    assert float((operator(found) - y).abs().max()) < 0.02
