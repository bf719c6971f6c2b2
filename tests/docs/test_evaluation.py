"""The page about evaluation is true: it has every metric with its figures and its options."""

import re
from pathlib import Path

import pytest

from diffx_core.config import options_of
from diffx_core.plugins import Registry

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
ROWS = {
    name: rest.split("|")
    for name, rest in re.findall(r"^\| `(\w+)` \|([^\n]*)\|$", PAGE, re.MULTILINE)
    if rest.count("|") == 3
}
OURS = [one for one in Registry.load({}).all("metric") if one.distribution == "diffx-metrics"]


def names(text):
    return re.findall(r"`(\w+)`", text)


def test_the_table_has_every_metric():
    assert sorted(ROWS) == sorted(one.name for one in OURS)


@pytest.mark.parametrize("metric", OURS, ids=lambda one: one.name)
def test_a_row_says_what_the_metric_declares(metric):
    figures, better, reads, options = ROWS[metric.name]
    target = metric.load()
    assert names(figures) == list(target.figures)
    assert better.strip() == ("lower" if target.lower_is_better else "higher")
    assert reads.strip() == target.reads
    assert names(options) == [option.name for option in options_of(target)]


def test_the_page_is_linked():
    assert "](docs/evaluation.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
