"""What must not end a run, destroy a file or go unnoticed."""

import io
from pathlib import Path

import pytest

from diffx_core.engine.events import Finished, Started, Stepped
from diffx_core.engine.observers import Progress

POINTS = ["--dataset", "toy2d", "--backbone", "mlp", "--backbone.width", "16"]
SHORT = ["--train.steps", "2", "--train.batch-size", "16"]


def test_a_progress_stream_that_is_gone_does_not_stop_a_run():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    progress = Progress(Gone())
    for event in (Started(1, 1, 1), Stepped(1, 0.5, 0.1, 1.0, 1.0), Finished(1, 1.0)):
        progress(event)


@pytest.mark.parametrize("command", ["train", "sample"])
def test_overwriting_never_touches_a_folder_that_is_not_ours(diffx, command):
    assert diffx("train", *POINTS, *SHORT, "--out", "run").rc == 0
    precious = Path("photos/images/mum.txt")
    precious.parent.mkdir(parents=True)
    precious.write_text("precious")
    flags = [*POINTS, *SHORT] if command == "train" else ["run", "--n", "2", "--steps", "2"]
    result = diffx(command, *flags, "--out", "photos", "--overwrite")
    assert result.rc == 2
    assert "was not made by diffx" in result.err
    assert precious.read_text() == "precious"


EXITING = """
import sys
from attrs import frozen
from diffx_core import Scheduler

@frozen(kw_only=True)
class Odd(Scheduler):
    def alpha(self, t):
        sys.exit(0)

    def sigma(self, t):
        return t
"""
PLUGIN = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_schedulers():
    return [Component("odd", "diffx_odd.odd:Odd", "Misbehaves")]
"""


def test_a_component_that_calls_exit_is_an_error(diffx, fake_distribution):
    fake_distribution("diffx-odd", {"plugin": PLUGIN, "odd": EXITING})
    result = diffx("train", *POINTS, *SHORT, "--scheduler", "odd")
    assert result.rc == 3
    assert "a component called sys.exit(0)" in result.err


DEPENDENT = """
from attrs import field, frozen
from diffx_core import Scheduler

@frozen(kw_only=True)
class Odd(Scheduler):
    rate: float = 1.0
    twice: float = field()

    @twice.default
    def _(self):
        return 2 * self.rate

    def alpha(self, t):
        return 1 - t

    def sigma(self, t):
        return t
"""


def test_a_default_that_depends_on_other_options_is_refused_not_replaced(diffx, fake_distribution):
    fake_distribution("diffx-odd", {"plugin": PLUGIN, "odd": DEPENDENT})
    result = diffx("train", *POINTS, *SHORT, "--scheduler", "odd")
    assert result.rc == 3
    assert "the option twice has a default that depends on other options" in result.err


def test_the_newest_run_is_the_one_that_was_saved_last(diffx):
    for out in ("runs/zz", "runs/aa"):
        assert diffx("train", *POINTS, *SHORT, "--out", out).rc == 0
    assert "runs/aa" in diffx("sample", "--n", "2", "--steps", "2").out


def test_a_run_that_is_not_there_is_said_to_be_missing(diffx):
    result = diffx("sample", "nowhere")
    assert result.rc == 5
    assert "nowhere: there is no such folder" in result.err


def test_an_option_called_name_survives_the_configuration_file(diffx, fake_distribution):
    source = DEPENDENT.replace("twice: float = field()", 'name: str = "q"')
    source = source.split("    @twice")[0] + source.split("2 * self.rate\n")[1]
    fake_distribution("diffx-odd", {"plugin": PLUGIN, "odd": source})
    flags = ["--scheduler", "odd", "--scheduler.name", "quiet"]
    assert diffx("train", *POINTS, *SHORT, *flags, "--out", "run").rc == 0
    again = diffx("train", "--config", "run/config.yaml", "--dry-run")
    assert again.rc == 0
    assert "quiet" in again.out


@pytest.mark.parametrize("text", ["<<: {seed: 3}", "device: =", "seed: <<", '"\\UFFFFFFFF": 1'])
def test_odd_yaml_is_refused_with_its_line(diffx, text):
    Path("odd.yaml").write_text(text + "\n")
    result = diffx("train", *POINTS, *SHORT, "--config", "odd.yaml", "--dry-run")
    assert result.rc == 2
    assert "odd.yaml:1" in result.err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--resume", ""], "--resume: needs a run or a checkpoint, not ''"),
        (["--loggers", ","], "--loggers: a name is empty"),
        (["--loggers", "csv,"], "--loggers: a name is empty"),
        (
            ["--ema", "power", "--ema.sigma_rel", "0"],
            "--ema.sigma_rel: must be from 0.005 to 0.28, got 0.0",
        ),
        (
            ["--ema", "power", "--ema.sigma_rel", "0.1,0.1"],
            "--ema.sigma_rel: must be one or more different widths, got 0.1,0.1",
        ),
    ],
)
def test_what_is_empty_or_out_of_range_is_refused_in_the_words_of_the_command_line(
    diffx, words, line
):
    result = diffx("train", *POINTS, *SHORT, *words, "--dry-run")
    assert result.rc == 2
    assert f"diffx: error: {line}\n" in result.err


def test_one_step_is_no_steps(diffx):
    result = diffx("train", *POINTS, "--train.steps", "1", "--train.batch-size", "16")
    assert "\n1 step in " in result.err
