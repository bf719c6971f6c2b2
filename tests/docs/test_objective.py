"""The page about the objective is true: its code runs and learns, its tables name what there is."""

import re
from pathlib import Path
from typing import get_args

import pytest
import torch
from attrs import evolve

from diffx_core.options import (
    PARAMETERS,
    LossName,
    PredictionName,
    TimesName,
    WeightingName,
)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training" / "objective.md").read_text(encoding="utf-8")
SOURCES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
CHOICES = {
    "prediction": PredictionName,
    "weighting": WeightingName,
    "times": TimesName,
    "loss": LossName,
}


def lines_of(source):
    return [line for line in source.splitlines() if line]


def fresh(names):
    """The network of the page before it learned: it says zero, whose loss is about 2."""
    return type(names["network"])(names["data"].spec)


@torch.no_grad()
def loss_of(names, network):
    """The loss of many examples at once, at times and with noise that were not trained on."""
    data = names["data"].batch(torch.arange(4096) % 512)
    return names["objective"](evolve(names["denoiser"], backbone=network), data, step=10**6)


def test_every_block_is_code_that_runs():
    assert PAGE.count("\n```") == 2 * len(SOURCES)


def test_the_code_of_the_page_does_what_it_says(capsys):
    torch.manual_seed(0)
    names = {"__name__": "objective"}
    outputs = []
    for number, source in enumerate(SOURCES):
        exec(compile(source, f"objective.md, block {number}", "exec"), names)
        outputs.append(capsys.readouterr().out)
    assert loss_of(names, names["network"]) < 0.8 * loss_of(names, fresh(names))
    assert float(outputs[1]) < 1e-6
    assert torch.equal(
        names["bound"].effective_weight(names["RectifiedFlow"](), 1.0, names["t"]),
        torch.ones(99, dtype=torch.float64),
    )
    density, times = names["density"], names["times"]
    torch.testing.assert_close(density.cdf(density.quantile(times)), times, rtol=0, atol=1e-12)


def test_the_loop_is_ten_lines():
    (loop,) = [source for source in SOURCES if "for _ in range" in source]
    body = lines_of(loop)
    first = next(i for i, line in enumerate(body) if line.startswith("denoiser ="))
    last = next(i for i, line in enumerate(body) if "zero_grad" in line)
    assert last - first + 1 <= 10


@pytest.mark.parametrize("option", CHOICES)
def test_the_first_table_has_every_choice(option):
    (row,) = re.findall(rf"^\| \[?`{option}`.*\| .* \| (.+) \|$", PAGE, re.MULTILINE)
    assert re.findall(r"`(\w+)`", row) == [*get_args(CHOICES[option])]


def test_every_choice_has_a_row_of_its_own():
    rows = re.findall(r"^\| `(\w+)` \| ", PAGE, re.MULTILINE)
    for option in ("weighting", "times", "loss"):
        assert {*get_args(CHOICES[option])} <= {*rows}, option


def test_every_option_of_a_choice_is_named_with_its_default():
    for name in {name for used in PARAMETERS.values() for name in used}:
        assert re.search(rf"\b{name}\b", PAGE), name
    for choice in ("logit_normal", "log_normal_sigma", "mode", "discrete"):
        (row,) = re.findall(rf"^\| `{choice}` \|.*$", PAGE, re.MULTILINE)
        for name, value in PARAMETERS[f"times={choice}"].items():
            assert f"`{name}` {value:g}" in row
