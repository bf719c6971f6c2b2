"""Pickles are read without being run."""

import collections
import pickle

import numpy as np
import pytest

from diffx_datasets.plain_pickle import NotPlainError, plain_pickle
from published_formats import cifar_batch, noise

CONTENT = {
    "data": noise(2, 12),
    "labels": [3, 300, 70_000, 2**40],
    "names": ["a", "b" * 300],
    "mean": (1.5, None, True, False, ()),
}


def same(one, other):
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[key], other[key]) for key in one if key != "mean")
    assert one.get("mean") == other.get("mean")


@pytest.mark.parametrize("protocol", range(5))
def test_plain_data_are_read_as_they_were_written(protocol):
    if protocol < 2:
        content = {key: value for key, value in CONTENT.items() if key != "data"}
    else:
        content = CONTENT
    same(plain_pickle(pickle.dumps(content, protocol)), content)


def test_what_python_2_wrote_is_read_as_pickle_reads_it():
    written = cifar_batch(noise(2, 3, 32, 32), [7, 1])
    same(plain_pickle(written), pickle.loads(written, encoding="latin1"))


def test_the_order_of_an_array_is_kept():
    array = np.asfortranarray(noise(3, 4))
    assert np.array_equal(plain_pickle(pickle.dumps({"a": array}, 2))["a"], array)


class Hostile:
    def __reduce__(self):
        return print, ("hello",)


@pytest.mark.parametrize(
    "value",
    [Hostile(), collections.OrderedDict(a=1), {1, 2}, {"a": np.zeros(2)}, [].append, range(3)],
    ids=["call", "class", "set", "floats", "method", "range"],
)
def test_anything_else_is_refused(value, capsys):
    with pytest.raises(NotPlainError):
        plain_pickle(pickle.dumps(value, 2))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("cut", range(1, 400, 13))
def test_a_cut_off_pickle_is_refused(cut):
    with pytest.raises(NotPlainError):
        plain_pickle(pickle.dumps(CONTENT, 2)[:-cut])
