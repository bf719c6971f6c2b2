"""The page about evaluation is true: it has every metric with its figures and its options."""

import re
import shlex
from pathlib import Path
from typing import get_args

import pytest

from diffx_cli.__main__ import main
from diffx_cli.evaluate.choosing import FeatureKind
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


def test_the_table_has_every_kind_of_features():
    section = PAGE.partition("## Features")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert sorted(rows) == sorted(get_args(FeatureKind))


QUICKER = {
    "train": {"--train.steps": "2", "--train.batch-size": "16", "--save.every": "2"},
    "evaluate": {"--n": "12", "--nfe": "2", "--reference": "60", "--features": "random"},
    "compare": {"--n": "12", "--nfe": "2,3", "--reference": "60", "--features": "random"},
}


def quick(command, words):
    """The arguments of a command of the page, with less work to do."""
    place = [word.replace("step-00000200", "step-00000002") for word in words[: len(words) % 2]]
    flags = words[len(words) % 2 :]
    given = dict(zip(flags[::2], flags[1::2], strict=True)) | QUICKER[command]
    return [command, *place, *(word for pair in given.items() for word in pair)]


@pytest.mark.slow
def test_the_commands_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["--dataset.size", "8", "--preset", "tiny", "--train.batch-size", "16"]
    assert main(["train", *small, "--train.steps", "2"]) == 0
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    assert {program for program, *_ in lines} == {"diffx"}
    for _, command, *words in lines:
        assert main(quick(command, words)) == 0, (command, *words)
    run = tmp_path / "digits"
    assert len(list(run.glob("evaluations/*/evaluation.json"))) == 1
    assert len(list(run.glob("comparisons/*/comparison.png"))) == 1
