"""Nobody who is told about a run can stop it or change it."""

import random

import numpy as np
import pytest
import torch

from diffx_core.engine.events import Finished, Stepped
from diffx_core.engine.observers import Told

STEP = Stepped(step=1, loss=1.0, lr=0.1, grad_norm=2.0, seconds=0.5)
END = Finished(step=1, seconds=0.5)


def draws():
    return (
        random.random(),
        np.random.rand(),  # noqa: NPY002 - the global one is what is meant
        torch.rand(()).item(),
    )


def test_everybody_is_told_in_order():
    heard = []
    told = Told(
        [lambda event: heard.append(("a", event)), lambda event: heard.append(("b", event))]
    )
    told(STEP)
    told(END)
    assert heard == [("a", STEP), ("b", STEP), ("a", END), ("b", END)]


class Broken:
    label = "logger broken (diffx-broken 1.0)"

    def __call__(self, event):
        raise OSError("no\nroute")


def exits(event):
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("observer", "line"),
    [
        (
            Broken(),
            "logger broken (diffx-broken 1.0) is switched off, the run goes on: OSError: no route",
        ),
        (exits, "exits is switched off, the run goes on: it called sys.exit(3)"),
    ],
)
def test_one_that_raises_is_switched_off_with_one_line_and_the_others_go_on(observer, line):
    heard, notes = [], []
    told = Told([observer, heard.append], notes.append)
    told(STEP)
    told(END)
    assert (heard, notes) == ([STEP, END], [line])


def test_equal_observers_are_switched_off_one_by_one():
    class Equal:
        def __init__(self, *, breaks):
            self.breaks, self.heard = breaks, []

        def __eq__(self, other):
            return True

        __hash__ = None

        def __call__(self, event):
            self.heard.append(event)
            if self.breaks:
                raise OSError

    first, second = Equal(breaks=False), Equal(breaks=True)
    told = Told([first, second], lambda line: None)
    told(STEP)
    told(END)
    assert (len(first.heard), len(second.heard)) == (2, 1)


def test_the_line_is_a_warning_unless_it_is_wanted_elsewhere(caplog):
    Told([Broken()])(STEP)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_an_interrupt_reaches_the_run():
    def interrupted(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Told([interrupted])(STEP)


@pytest.mark.parametrize("fails", [False, True])
def test_global_random_numbers_and_the_grad_mode_are_left_alone(fails):
    def meddles(event):
        draws()
        torch.manual_seed(7)
        torch.set_grad_enabled(False)
        if fails:
            raise ValueError

    state = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    expected = draws()
    random.setstate(state[0])
    np.random.set_state(state[1])  # noqa: NPY002
    torch.set_rng_state(state[2])
    Told([meddles], lambda line: None)(STEP)
    assert draws() == expected
    assert torch.is_grad_enabled()


def test_what_an_observer_prints_does_not_reach_stdout(capsys):
    Told([lambda event: print("hello")])(STEP)
    assert capsys.readouterr() == ("", "hello\n")
