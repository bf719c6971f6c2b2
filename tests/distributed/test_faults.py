"""Whatever happens to one process, all of them end, and say the same."""

import signal

from diffx_core.engine.layout import checkpoints
from ranked import ends, values
from subjects import (
    STEPS,
    break_,
    die,
    differ,
    hold_and_fail,
    interrupt,
    lose,
    stay_away,
    tell,
    train,
    train_asked,
    train_faulty,
    train_losing,
    train_partial,
    train_torn,
)


def test_data_that_one_cannot_read_end_all():
    found = ends(2, train_torn)
    assert [one.code for one in found] == [4, 4]
    problem = "00007.png: is no image"
    (blamed,) = (rank for rank, one in enumerate(found) if one.text == problem)
    assert found[1 - blamed].text == f"process {blamed}: {problem}"


def test_an_error_in_the_middle_of_a_step_of_one_ends_all():
    first, second = ends(2, train_faulty, break_)
    assert (first.code, second.code) == (1, 1)
    assert first.text == "process 1: RuntimeError: mat1 and mat2 shapes cannot be multiplied"
    assert "mat1 and mat2" in second.text


def test_one_that_fails_ends_all_whatever_holds_its_connections():
    found = ends(2, hold_and_fail)
    problem = "00007.png: is no image"
    assert [(one.code, one.text) for one in found] == [(4, f"process 1: {problem}"), (4, problem)]


def test_one_that_is_interrupted_ends_all():
    assert [one.code for one in ends(2, train_faulty, interrupt)] == [130, 130]


def test_one_that_is_killed_ends_all():
    first, second = ends(2, train_faulty, die)
    assert (first.code, second.code) == (1, -signal.SIGKILL)
    assert "another process of this run does not answer" in first.text


def test_numbers_that_are_not_finite_in_one_end_all():
    found = ends(2, train_faulty, lose)
    assert [one.code for one in found] == [6, 6]
    assert all("step 4: loss nan" in one.text for one in found)


def test_a_lost_step_is_told_once_with_the_examples_of_whoever_lost_it():
    (steps, said, _), (_, nothing, lost) = values(2, train_losing)
    assert (steps, nothing) == (STEPS - 1, [])
    (line,) = said
    assert "step 3: loss nan" in line
    assert f"examples {lost}: the weights do not move in this step" in line


def test_one_that_does_not_come_is_not_waited_for_for_ever():
    first, second = ends(2, stay_away)
    assert (first.code, second.code) == (1, 1)
    assert "does not answer" in first.text
    assert second.text == f"process 0: {first.text}"


def test_parameters_without_a_gradient_are_refused():
    found = ends(2, train_partial)
    assert [one.code for one in found] == [3, 3]
    assert all("parameters that get no gradient" in one.text for one in found)


def test_processes_that_differ_do_not_begin():
    found = ends(2, differ)
    assert [one.code for one in found] == [5, 5]
    assert all("do not have the same configuration" in one.text for one in found)


def test_one_that_is_asked_to_end_ends_all_with_one_save(tmp_path):
    assert values(2, train_asked, tmp_path, "SIGTERM", 4) == [(4, "SIGTERM")] * 2
    newest, *_ = checkpoints(tmp_path)
    assert newest.name == "step-00000004"


def test_they_tell_each_other_rows_and_words():
    rows = [[1.0, 1.0], [2.0, 2.0], [2.0, 2.0]]
    assert values(3, tell) == [("I am 0", rows)] * 3


def test_a_batch_has_an_example_for_each():
    found = ends(2, train, None, None, {"batch_size": 1})
    assert [one.code for one in found] == [2, 2]
