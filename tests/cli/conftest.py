"""A way to run the program in this process, and plugins that are made for the tests."""

import pytest
from attrs import frozen

from diffx_cli.__main__ import main


@frozen
class Result:
    """What a command line did."""

    rc: int
    out: str
    err: str


@pytest.fixture
def diffx(capsys, tmp_path, monkeypatch):
    """Run `diffx ARGUMENTS` in an empty folder."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        rc = main(arguments)
        captured = capsys.readouterr()
        return Result(rc, captured.out, captured.err)

    return run


ECHO_PLUGIN = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_schedulers():
    return [Component("echo", "diffx_echo.echo:Echo", "For tests")]
"""

ECHO = '''
from attrs import field, frozen
from attrs.validators import gt

@frozen(kw_only=True)
class Echo:
    """Says what it was given.

    Args:
        rate: how much.
    """

    rate: float = field(default=1.0, validator=gt(0))
    name: str = ""
    tag: str | None = "set"
    amp: bool = True
    normalize: bool = False
    noise: bool = False
    notes: bool = False
    dims: tuple[int, ...] = (1,)
    count: int = 3
'''


@pytest.fixture
def echo(fake_distribution):
    """A scheduler with options of every type."""
    return fake_distribution("diffx-echo", {"plugin": ECHO_PLUGIN, "echo": ECHO})
