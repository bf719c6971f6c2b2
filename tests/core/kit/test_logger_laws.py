"""The laws of loggers find what they are there to find."""

import math
import os
from pathlib import Path

import pytest
import torch
from attrs import define, field

from diffx_core import Logger
from diffx_core.testing import LOGGER_LAWS

LAWS = {law.name: law for law in LOGGER_LAWS}


@define(kw_only=True)
class Lines(Logger):
    """A line for each figure, and a way to go wrong."""

    bug: str = ""
    _file: Path = field(init=False, default=Path())
    _names: tuple = field(init=False, default=())

    def start(self, folder, config, step):
        self._file = folder / "lines.txt"
        match self.bug:
            case "outside":
                self._file = folder.parent / "lines.txt"
            case "here":
                self._file = Path("lines.txt")
            case "moved":
                os.chdir(folder)
            case "config":
                config["seed"] = 1
            case "again":
                self._file.touch(exist_ok=False)
            case "truncated":
                self._file.write_text("")
            case "removed":
                self._file.unlink(missing_ok=True)
            case "print":
                print("started")
            case "random":
                torch.rand(1)
        self._say(f"from {step}")

    def scalars(self, step, values):
        match self.bug:
            case "names":
                self._names = self._names or tuple(values)
                assert tuple(values) == self._names
            case "finite":
                assert all(map(math.isfinite, values.values()))
            case "values":
                values["step"] = step
        self._say(f"{step} {values}")

    def images(self, step, images):
        if self.bug == "colour":
            assert images.shape[1] == 3
        if self.bug == "written":
            images.zero_()
        self._say(f"{step} {len(images)} images")

    def finish(self, status):
        if self.bug == "status":
            assert status == "finished"
        if self.bug == "empty":
            assert "loss" in self._file.read_text()
        self._say(status)

    def _say(self, line):
        with self._file.open("a") as file:
            file.write(f"{line}\n")


GIVEN = "what it is given is not changed"
RESUMED = "a run goes on in its folder"
OUTSIDE = "nothing is written outside of the folder"
FOUND = {
    "empty": "a run of which nothing is logged can end",
    "config": GIVEN,
    "values": GIVEN,
    "written": GIVEN,
    "names": "figures may have new names at any step",
    "finite": "figures need not be finite",
    "colour": "images have one channel or three",
    "again": RESUMED,
    "truncated": RESUMED,
    "removed": RESUMED,
    "status": "a run may end early",
    "outside": OUTSIDE,
    "here": OUTSIDE,
    "moved": OUTSIDE,
    "random": "global random numbers are left alone",
    "print": "nothing is printed to stdout",
}


@pytest.mark.parametrize("law", LOGGER_LAWS, ids=str)
def test_a_logger_without_faults_obeys(law):
    assert law.check(Lines()).measured


@pytest.mark.parametrize("bug", FOUND)
def test_a_fault_is_found(bug):
    with pytest.raises((AssertionError, FileExistsError)):
        LAWS[FOUND[bug]].check(Lines(bug=bug))


def test_every_law_finds_a_fault():
    assert {*FOUND.values()} == {*LAWS}
