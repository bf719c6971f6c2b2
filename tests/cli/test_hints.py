"""What is said at the end of a command: the next one, as it can be pasted into a shell."""

import shlex

import pytest

TOY = ("train", "--dataset", "toy2d", "--backbone", "mlp", "--backbone.width", "16")
SHORT = ("--train.batch-size", "16", "--train.steps", "400")
LOOKS = ("--validate.every", "2", "--validate.examples", "16", "--validate.min-change", "100")


def last_words(result):
    assert result.rc == 0, result.err
    hint, colon, line = result.out.splitlines()[-1].partition(": ")
    assert colon
    program, *words = shlex.split(line)
    assert program == "diffx"
    return hint, words


@pytest.mark.parametrize("name", ["plain", "with a space", "it's;&$(more)"])
def test_the_next_command_can_be_pasted_whatever_the_folder_is_called(diffx, name):
    hint, words = last_words(diffx(*TOY, *SHORT[:2], "--train.steps", "2", "--out", name))
    assert (hint, words) == ("sample it", ["sample", name])
    assert diffx(*words, "--n", "2", "--steps", "2").rc == 0


def test_a_run_that_got_no_better_is_not_to_go_on_which_would_end_at_once(diffx):
    done = diffx(*TOY, *SHORT, *LOOKS, "--validate.patience", "1", "--out", "run")
    assert last_words(done) == ("sample it", ["sample", "run"])
    assert "no better loss of held-out examples" in done.out


def test_a_run_whose_time_is_over_is_to_go_on(diffx):
    done = diffx(*TOY, *SHORT, "--train.hours", "1e-9", "--out", "run")
    assert last_words(done) == ("go on", ["train", "--resume", "run"])
