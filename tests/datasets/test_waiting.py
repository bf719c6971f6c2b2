"""Whoever waits at a terminal sees how far it is."""

import io
import sys
import time

import pytest

from diffx_datasets import waiting as module
from diffx_datasets.waiting import waiting


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "soon", "is_shown"),
    [(Terminal(), 0, True), (Terminal(), 1000, False), (io.StringIO(), 0, False), (None, 0, False)],
    ids=["terminal", "at once", "file", "nothing"],
)
def test_a_bar_appears_for_those_who_wait(monkeypatch, stream, soon, is_shown):
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(module, "SOON", soon)
    seen = []
    for item in waiting("abc", "letters"):
        time.sleep(0.001)
        seen.append(item)
    assert seen == list("abc")
    assert ("letters" in (stream.getvalue() if stream else "")) == is_shown
