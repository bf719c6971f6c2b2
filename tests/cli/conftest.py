"""A way to run the program in this process, and plugins that are made for the tests."""

from pathlib import Path

import pytest
import torch
from attrs import frozen

from diffx_cli.__main__ import main
from diffx_cli.picture.pictures import picture, to_bytes
from diffx_datasets.digits import Digits


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


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    """The folder of a small model of digits, 8 pixels wide, that has just begun to learn."""
    run = tmp_path_factory.mktemp("trained") / "digits"
    size = ["--preset", "tiny", "--train.batch-size", "32", "--train.steps", "30"]
    data = ["--dataset", "digits", "--dataset.size", "8"]
    assert main(["train", *data, *size, "--device", "cpu", "--out", str(run)]) == 0
    return run


@pytest.fixture(scope="session")
def digits_files(tmp_path_factory):
    """A folder with pictures of four digits, 8 pixels wide."""
    folder = tmp_path_factory.mktemp("pictures")
    digits = Digits(size=8)
    for i, one in enumerate(to_bytes(digits.batch(torch.arange(4)).x, digits.spec)):
        picture(one).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="session")
def points_run(tmp_path_factory):
    """The folder of a small model of points in the plane."""
    run = tmp_path_factory.mktemp("trained") / "points"
    small = ["--backbone", "mlp", "--backbone.width", "16", "--train.steps", "20"]
    assert main(["train", "--dataset", "toy2d", *small, "--device", "cpu", "--out", str(run)]) == 0
    return run


@pytest.fixture(scope="session")
def rank_of():
    """Finds the process of a rank that a launcher has started."""

    def find(launcher, rank):
        for task in Path(f"/proc/{launcher.pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                if f"\0RANK={rank}\0" in f"\0{Path(f'/proc/{child}/environ').read_text()}":
                    return int(child)
        raise LookupError(f"there is no process {rank}")

    return find


ECHO_PLUGIN = """
from diffx_core import Component, hookimpl

@hookimpl
def diffx_schedulers():
    return [Component("echo", "diffx_echo.echo:Echo", "For tests")]
"""

ECHO = '''
from attrs import field, frozen
from attrs.validators import gt
from diffx_core import Scheduler

@frozen(kw_only=True)
class Echo(Scheduler):
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

    def alpha(self, t):
        return 1 - t

    def sigma(self, t):
        return t.clone()
'''


@pytest.fixture
def echo(fake_distribution):
    """A scheduler with options of every type."""
    return fake_distribution("diffx-echo", {"plugin": ECHO_PLUGIN, "echo": ECHO})
