"""The page about using a model is true: its code runs, and its commands exist."""

import re
import shlex
from pathlib import Path

import pytest
import torch

from diffx_cli.commands.sample import COMMAND
from diffx_cli.line.grammar import parse
from diffx_core.options import GuidanceOptions, RuleName

PAGE = (Path(__file__).parents[2] / "docs" / "sampling" / "pipeline.md").read_text("utf-8")
SOURCES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(COMMANDS,) = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_code_of_the_page_does_what_it_says():
    names = {"__name__": "pipeline"}
    for number, source in enumerate(SOURCES):
        exec(compile(source, f"pipeline.md, block {number}", "exec"), names)
    x, means = names["x"], torch.tensor([-1.0, 0.8])
    nearest = (x[..., None] - means).abs().amin(-1)
    assert float(nearest.mean()) < 0.2  # a mixture with deviations of 0.25 and 0.15
    assert float(names["way"].shape[0]) == 9
    assert names["sharp"][names["sharp"] > 0].std() < 0.8 * x[x > 0].std()
    lost = names["pipeline"].decode(names["latent"], sampler=names["tight"]) - x
    assert float(lost.abs().max()) < 1e-6
    assert float((names["changed"] - names["again"]).abs().median()) < 0.1
    assert names["reached"].step == 5


@pytest.mark.parametrize("line", COMMANDS.splitlines())
def test_the_commands_of_the_page_are_there(line):
    call = parse(shlex.split(line)[1:], {"sample": COMMAND})
    assert {*call.options} <= {*COMMAND.declared()}


def test_the_table_has_every_option_of_guidance():
    names = [name for name in GuidanceOptions.__annotations__ if name not in ("norm", "parallel")]
    missing = [name for name in names if f"`--guidance.{name}" not in PAGE]
    assert missing == []
    assert [rule for rule in RuleName.__args__ if f"`{rule}`" not in PAGE] == []
