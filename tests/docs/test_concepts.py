"""The page of the four ideas is true: its code says what the comments beside it say."""

import re
from pathlib import Path

import pytest
import torch

PAGE = (Path(__file__).parents[2] / "docs" / "concepts.md").read_text(encoding="utf-8")
SOURCES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def names():
    """What the blocks define, one after the other."""
    found = {}
    for source in SOURCES:
        exec(compile(source, "concepts.md", "exec"), found)  # running it is the test
    return found


def test_the_sde_of_two_functions_is_the_one_by_hand(names):
    process, t = names["process"], names["t"]
    torch.testing.assert_close(process.drift(t), -4 * (4 * t).tanh())
    torch.testing.assert_close(process.diffusion(t) ** 2, 8 * (4 * t).tanh())
    torch.testing.assert_close(process.time_of(process.log_snr(t)), t)


def test_every_prediction_is_read_back(capsys):
    found = {}
    for source in SOURCES[:2]:
        exec(compile(source, "concepts.md", "exec"), found)
    lines = capsys.readouterr().out.splitlines()[3:]
    assert lines == [f"{name} True" for name in found["PREDICTIONS"]]


def test_the_table_has_every_prediction(names):
    rows = re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE)
    assert set(rows) == set(names["PREDICTIONS"])


def test_the_network_that_says_nothing_draws_gaussian_data(names):
    # 2000 numbers: their standard deviation is within 5 standard errors, 5 / sqrt(2 * 2000)
    assert float(names["many"].std()) == pytest.approx(0.5, rel=0.08)
    torch.testing.assert_close(names["many"][7], names["seventh"])


def test_guidance_goes_on_beyond_the_class(names):
    def mean(denoiser):
        noise = names["NoiseSource"](0, range(4))
        drawn = names["sample"](names["sampler"], denoiser, (2,), noise=noise, cond=names["one"])
        return float(drawn.mean())

    assert mean(names["plain"]) == pytest.approx(1.0, abs=1e-4)
    assert mean(names["guided"]) == pytest.approx(3.0, abs=1e-4)
