"""Loggers on the command line: any number of them, and options for those that have them."""

from pathlib import Path

import pytest
from attrs import frozen

from diffx_cli.line.command import Command
from diffx_cli.line.help import command_help
from diffx_cli.line.resolve import resolve
from diffx_cli.train.loggers import loggers_for, saved
from diffx_core.config import write_yaml
from diffx_core.errors import ConfigError
from diffx_core.plugins import Registry

PLUGIN = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_loggers():
    return [
        Component("loud", "diffx_voices.voices:Loud", "For tests"),
        Component("quiet", "diffx_voices.voices:Quiet", "For tests"),
        Component("broken", "diffx_voices.nowhere:Broken", "For tests"),
    ]
"""

VOICES = '''
from attrs import define

from diffx_core import ConfigError, Logger


@define(kw_only=True)
class Quiet(Logger):
    """Says nothing.

    Args:
        project: to which it belongs.
    """

    project: str = "none"

    def __attrs_post_init__(self):
        if self.project == "forbidden":
            raise ConfigError("project must not be forbidden")

    def start(self, folder, config, step): ...
    def scalars(self, step, values): ...
    def images(self, step, images): ...
    def finish(self, status): ...


@define(kw_only=True)
class Loud(Quiet):
    """Says everything.

    Args:
        volume: how loud.
    """

    volume: int = 1
'''


@frozen(kw_only=True)
class Options:
    """What the command takes.

    Args:
        config: a file.
        loggers: which.
    """

    config: Path | None = None
    loggers: tuple[str, ...] = ()


COMMAND = Command(
    name="learn", summary="Learn.", options=Options, run=print, lists={"loggers": "logger"}
)


@pytest.fixture
def registry(fake_distribution):
    fake_distribution("diffx-voices", {"plugin": PLUGIN, "voices": VOICES})
    return Registry.load({"DIFFX_PLUGINS": "diffx-voices"})


def refusal(registry, **texts):
    with pytest.raises(ConfigError) as caught:
        resolve(COMMAND, {key.replace("__", "."): text for key, text in texts.items()}, registry)
    return [line for line in caught.value.problems if not line.startswith("switched off by")]


def test_an_option_goes_to_each_chosen_logger_that_has_it(registry, tmp_path):
    texts = {"loggers": "quiet,loud", "logger.project": "digits", "logger.volume": "3"}
    request = resolve(COMMAND, texts, registry)
    quiet, loud = (one.logger for one in loggers_for(request.listed["logger"], tmp_path, {}, 10))
    assert (quiet.project, loud.project, loud.volume) == ("digits", "digits", 3)


def test_an_observer_is_named_after_its_logger_and_its_distribution(registry, tmp_path):
    request = resolve(COMMAND, {"loggers": "loud"}, registry)
    (one,) = loggers_for(request.listed["logger"], tmp_path, {"seed": 3}, 7)
    assert one.label == "logger loud (diffx-voices 1.0)"
    assert (one.folder, one.config, one.every) == (tmp_path, {"seed": 3}, 7)


def test_what_is_saved_names_the_same_loggers_with_the_same_options(registry, tmp_path):
    request = resolve(COMMAND, {"loggers": "loud,quiet", "logger.volume": "3"}, registry)
    config = saved(request)
    assert config == {
        "loggers": ["diffx-voices:loud", "diffx-voices:quiet"],
        "logger": {"volume": 3},
    }
    write_yaml(tmp_path / "config.yaml", config)
    again = resolve(COMMAND, {"config": str(tmp_path / "config.yaml")}, registry)
    assert again.listed == request.listed


TOY = ("--dataset", "toy2d", "--backbone", "mlp", "--backbone.width", "16")
SHORT = ("--train.steps", "2", "--train.batch-size", "8", "--device", "cpu", "--out", "run")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://me:hush@host:1/path", "https://host:1/path"),
        ("https://hush@host", "https://host"),
        ("postgresql://me:hu@hush@host/db?ssl=on", "postgresql://host/db?ssl=on"),
        ("https://host/?ssl=on&api_token=hush&b=c#d", "https://host/?ssl=on&api_token=&b=c#d"),
        ("sqlite:///mail@home.db", "sqlite:///mail@home.db"),
    ],
)
def test_no_password_of_an_address_is_in_the_folder(
    registry, fake_distribution, diffx, monkeypatch, given, kept
):
    words = ("train", *TOY, "--loggers", "quiet", "--logger.project", given, *SHORT)
    monkeypatch.setattr("sys.argv", ["diffx", *words])
    assert diffx(*words).rc == 0
    files = [path for path in Path("run").rglob("*") if path.is_file()]
    assert not [path for path in files if b"hush" in path.read_bytes()]
    assert kept in Path("run/config.yaml").read_text()
    assert kept in Path("run/env.json").read_text()


def test_a_run_without_loggers_saves_nothing_about_them(registry):
    request = resolve(COMMAND, {}, registry)
    assert (request.listed["logger"], saved(request)) == ((), {})


def test_all_mistakes_are_in_one_answer(registry):
    assert refusal(registry, loggers="loud,lout", logger__volum="3", logger__volume="x") == [
        "unknown logger 'lout': did you mean 'loud'? installed: broken, loud, quiet",
        "--logger.volum: is no option of the chosen loggers (loud); did you mean volume?",
        "--logger.volume: needs a whole number, not 'x'",
    ]


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (
            {"logger__volume": "3"},
            "--logger.volume: needs --loggers NAME, whose option it is",
        ),
        ({"loggers": "loud,loud"}, "--loggers: loud is there twice"),
        (
            {"loggers": "loud,quiet", "logger__project": "forbidden"},
            "logger loud (diffx-voices 1.0): project must not be forbidden",
        ),
        (
            {"loggers": "quiet", "logger__volume": "3"},
            "--logger.volume: is no option of the chosen loggers (quiet)",
        ),
    ],
)
def test_a_mistake_is_named(registry, texts, problem):
    assert refusal(registry, **texts)[0] == problem


def test_help_beside_loggers_shows_their_options(registry):
    page = command_help(COMMAND, {"loggers": "loud,quiet"}, registry)
    assert "--loggers NAME,...  broken, loud, quiet\n" in page
    assert "--logger.volume INTEGER" in page or "--logger.volume INT" in page
    assert page.count("--logger.project") == 2
