"""`best` names the best checkpoint of those that could be saved, by the loss that it had."""

import errno
import os
from contextlib import suppress

import pytest
import torch

from diffx_core import CheckpointError
from diffx_core.engine.checkpoint import load_checkpoint
from diffx_core.engine.duties import Look, Save
from diffx_core.engine.events import Validated
from diffx_core.engine.keeping import best
from diffx_core.engine.parts import learner_for
from diffx_core.engine.ranks import Ranks
from diffx_core.engine.saver import Saver
from diffx_core.engine.update import Taken
from diffx_core.objective import Objective
from diffx_core.options import EmaOptions, TrainOptions, ValidateOptions

LOSSES = {1: 0.5, 2: 0.25, 3: 0.45, 4: float("nan"), 5: 0.3, 6: 0.35, 7: 0.2, 8: 0.19}


@pytest.fixture
def full(monkeypatch):
    """A disk on which nothing can be written while the list has anything in it."""
    reasons, write = [], os.write

    def failing(*arguments):
        if reasons:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(*arguments)

    monkeypatch.setattr(os, "write", failing)
    return reasons


def judged(run, steps, every=100):
    """Take steps that are judged as above, with every save waited for; gives each step back."""
    learner = learner_for(
        torch.nn.Linear(2, 2), Objective(), TrainOptions(), EmaOptions(), torch.device("cpu")
    )
    look = Look(
        lambda step: Validated(step, LOSSES[step]), ValidateOptions(every=1, min_change=0.04)
    )
    saver = Saver(run, note=lambda line: None)
    save = Save(saver, every, {}, Ranks())
    for step in steps:
        learner.course.took(Taken(1.0, 1.0), scaling=False)
        yield step
        look(learner, lambda event: None)
        save(learner, lambda event: None)
        with suppress(CheckpointError):
            saver.finish()


def marked(run):
    """What `best` names, which has to be there, and to have been judged so."""
    found = best(run)
    if found is None:
        return None
    assert load_checkpoint(found.path).step == found.step
    assert found.value == LOSSES[found.step]
    return found.step


@pytest.mark.parametrize(
    ("lost", "seen"),
    [
        ([], [1, 2, 2, 2, 2, 2, 7, 7]),
        ([2], [1, 1, 3, 3, 5, 5, 7, 7]),
        ([1, 2, 3, 4], [None, None, None, None, 5, 5, 7, 7]),
        ([7], [1, 2, 2, 2, 2, 2, 2, 8]),
    ],
    ids=str,
)
def test_the_best_is_the_best_of_those_that_could_be_saved(tmp_path, full, lost, seen):
    found = []
    for step in judged(tmp_path, LOSSES):
        found.append(marked(tmp_path))
        full[:] = [step] if step in lost else []
    found.append(marked(tmp_path))
    assert found == [None, *seen]


def test_what_is_the_best_is_known_from_what_is_there(tmp_path, full):
    """Whatever was lost, and whichever process lost it."""
    for step in judged(tmp_path, (1, 2)):
        full[:] = [step] if step == 2 else []
    full.clear()
    assert marked(tmp_path) == 1
    assert Saver(tmp_path).best == LOSSES[1]
    for path in sorted((tmp_path / "checkpoints" / "step-00000001").iterdir()):
        path.unlink()
    (tmp_path / "checkpoints" / "step-00000001").rmdir()
    assert Saver(tmp_path).best is None
