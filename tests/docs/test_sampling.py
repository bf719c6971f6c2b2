"""The pages about grids and guidance are true: their code runs, their tables name what there is."""

import re
from pathlib import Path
from typing import get_args

import pytest
import torch

import diffx_core
from diffx_core.grids import GridName, grid_named
from diffx_core.grids.naming import PARAMETERS
from diffx_core.guidance.wrapper import Guided

ROOT = Path(__file__).parents[2]
PAGES = {
    name: (ROOT / "docs" / "sampling" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("grids", "guidance")
}


def run(name):
    """All blocks of a page, one after the other, as one program."""
    names = {"__name__": name}
    for source in re.findall(r"^```python\n(.*?)^```$", PAGES[name], re.MULTILINE | re.DOTALL):
        exec(compile(source, f"{name}.md", "exec"), names)  # running it is the test
    return names


def test_the_code_of_the_page_about_grids_does_what_it_says(capsys):
    names = run("grids")
    shape, *errors, text = capsys.readouterr().out.splitlines()
    assert shape == "torch.Size([64, 2])"
    assert float(errors[0]) < min(map(float, errors[1:]))
    assert len(text.split(",")) == 7
    times = grid_named(text)(names["denoiser"].scheduler, 6, 1.0)
    found = names["best"](names["denoiser"].scheduler, 6, 1.0)
    torch.testing.assert_close(times, found, rtol=1e-2, atol=1e-4)


def test_the_code_of_the_page_about_guidance_does_what_it_says(capsys):
    names = run("guidance")
    mean, inpainted, posterior, *steps = capsys.readouterr().out.splitlines()
    assert float(re.findall(r"[-\d.]+", mean)[0]) > 0.9
    known, unknown = (float(one) for one in re.findall(r"tensor\(([-\d.]+)\)", inpainted))
    assert known == pytest.approx(0.8, abs=1e-6)
    assert unknown == pytest.approx(0.5, rel=0.15)
    # 0.25 / (0.25 + 0.01) of what was measured
    found = float(re.findall(r"tensor\(([-\d.]+)\)", posterior)[0])
    assert found == pytest.approx(0.8 * 0.25 / 0.26, abs=0.01)
    assert names["x"].shape == (64, 1, 8, 8)
    short, right, long = (float(re.findall(r"tensor\(([-\d.]+)\)", one)[0]) for one in steps)
    assert short > 0.1
    assert right < long < 0.1


def test_every_grid_has_a_row():
    rows = re.findall(r"^\| `(\w+)` \|", PAGES["grids"], re.MULTILINE)
    assert rows == [*get_args(GridName), *(PARAMETERS.keys() - {*get_args(GridName)})]


@pytest.mark.parametrize("text", re.findall(r"--sampler.grid (\S+)", PAGES["grids"]))
def test_the_grids_of_the_command_line_exist(text):
    assert callable(grid_named(text))


def test_every_wrapper_has_a_row():
    public = {name: getattr(diffx_core, name) for name in diffx_core.__all__}
    wrappers = {
        name for name, one in public.items() if isinstance(one, type) and issubclass(one, Guided)
    }
    rows = re.findall(r"^\| `(\w+)` \|", PAGES["guidance"], re.MULTILINE)
    assert sorted(rows) == sorted(wrappers)
