"""Bytes obey the laws of text encoders, and say what the module says."""

import pytest
import torch

from diffx_backbones.text.bytes import REACH, SIGNS, Bytes
from diffx_core.testing import TextSuite


class TestBytes(TextSuite):
    def component(self):
        return Bytes(length=48)


class TestOneByte(TextSuite):
    def component(self):
        return Bytes(length=33)


def windows(text, **options):
    """(L, 2 REACH + 1, SIGNS) of one text."""
    context = Bytes(**options).encode([text]).context[0]
    return context[:, : (2 * REACH + 1) * SIGNS].unflatten(1, (2 * REACH + 1, SIGNS))


def test_a_window_holds_the_bytes_around_its_own():
    (found,) = windows("abcde", length=5)[None]
    alone = [windows(letter, length=1)[0, REACH] for letter in "abcde"]
    assert torch.equal(found[2], torch.stack(alone))
    assert not found[0, :REACH].any()
    assert not found[4, REACH + 1 :].any()


def test_every_byte_has_signs_of_its_own():
    code = torch.stack([windows(chr(byte), length=1)[0, REACH] for byte in range(128)])
    assert set(code.flatten().tolist()) == {-1.0, 1.0}
    alike = (code @ code.T / SIGNS).fill_diagonal_(0)
    assert float(alike.abs().max()) < 0.8


def test_the_signs_are_the_same_for_ever():
    # the first byte of SHA-256 of "a" is 0xca
    assert windows("a", length=1)[0, REACH, :8].tolist() == [-1, 1, -1, 1, -1, -1, 1, 1]


def test_letters_beyond_ascii_count_their_bytes():
    assert Bytes().count("Käfer") == 6
    assert Bytes().encode(["Käfer"]).mask.sum() == 6


@pytest.mark.parametrize("length", [0, 5000])
def test_a_length_that_makes_no_sense_is_refused(length):
    with pytest.raises(ValueError, match="length"):
        Bytes(length=length)
