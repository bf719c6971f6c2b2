"""The saved form of a run: it comes back as it was, or says what is missing."""

from pathlib import Path

import pytest

from diffx_core.config import read_yaml, write_yaml
from diffx_core.config.run import Run, SavedComponent, plain
from diffx_core.errors import CheckpointError, PluginError
from diffx_core.options import TrainOptions
from diffx_core.plugins import Registry

PLUGIN = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_backbones():
    return [Component("echo", "diffx_echo.echo:Echo")]
"""

ECHO = """
from torch import nn

class Echo(nn.Module):
    def __init__(self, spec, *, dims: tuple[int, ...] = (1,), rate: float = 0.5):
        super().__init__()
        self.given = (spec, dims, rate)
"""


@pytest.fixture
def registry(fake_distribution):
    fake_distribution("diffx-echo", {"plugin": PLUGIN, "echo": ECHO})
    return Registry.load({"DIFFX_PLUGINS": "diffx-echo"})


def _run(registry, **options):
    saved = SavedComponent.of(registry.find("backbone", "echo"), options)
    train = {"steps": 3, "lr": 1e-4}
    return Run(components={"backbone": saved}, sections={"train": train}, seed=7, spec={"a": [1]})


def test_a_run_comes_back_as_it_was(registry):
    run = _run(registry, dims=(1, 2), rate=0.25)
    again = Run.from_json(run.to_json())
    assert again == run
    assert again.build("backbone", registry, "facts").given == ("facts", (1, 2), 0.25)
    assert again.section("train", TrainOptions) == TrainOptions(steps=3, lr=1e-4)


def test_a_run_as_a_configuration_file(registry, tmp_path):
    write_yaml(tmp_path / "config.yaml", _run(registry, dims=(1, 2), rate=0.25).to_config())
    values = read_yaml(tmp_path / "config.yaml", named=["backbone"])
    assert {key: given.value for key, given in values.items()} == {
        "backbone": "diffx-echo:echo",
        "backbone.dims": [1, 2],
        "backbone.rate": 0.25,
        "train.steps": 3,
        "train.lr": 1e-4,
        "seed": 7,
    }


def test_a_missing_plugin_is_answered_with_what_to_install(registry):
    run = _run(registry)
    with pytest.raises(PluginError, match="pip install diffx-echo"):
        run.build("backbone", Registry.load({"DIFFX_PLUGINS": ""}))


def test_an_option_that_is_gone_is_named(registry):
    run = _run(registry, depth=3)
    with pytest.raises(CheckpointError, match="has no option depth"):
        run.build("backbone", registry, None)


def test_a_section_that_no_longer_fits_is_named(registry):
    run = Run(components={}, sections={"train": {"stepz": 3}})
    with pytest.raises(CheckpointError, match="has no option stepz"):
        run.section("train", TrainOptions)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({}, "format None"),
        ({"format": 99}, "format 99"),
        ({"format": 1}, "damaged"),
        ({"format": 1, "components": 3}, "damaged"),
        ({"format": 1, "components": {"backbone": {"nome": "x"}}}, "damaged"),
        ({"format": 1, "components": {}, "more": 1}, "damaged"),
    ],
    ids=str,
)
def test_a_record_that_is_none_is_refused(record, reason):
    with pytest.raises(CheckpointError, match=reason):
        Run.from_json(record)


def test_options_are_saved_as_plain_types():
    value = {"a": (1, 2), "b": Path("x/y"), "c": [(1.5,)], "d": None}
    assert plain(value) == {"a": [1, 2], "b": "x/y", "c": [[1.5]], "d": None}
