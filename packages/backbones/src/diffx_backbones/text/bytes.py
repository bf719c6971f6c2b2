"""Texts as their bytes in UTF-8, without weights and without a vocabulary.

A token is a byte at a place. It has 48 signs that say which byte it is, as many for each of the two
bytes before and the two after it, and 16 waves that say where it is:

    token_i = (code[b_(i-2)], ..., code[b_(i+2)], sin(w_k i), cos(w_k i)),    w_k = 512^(-k/8)

The scalar product of two such windows counts the bytes that they share, so attention, which takes
exponentials of sums, can look for pieces of words. Beyond the ends of a text there is zero.
"""

import hashlib
from collections.abc import Sequence
from functools import cache

import torch
from attrs import field, frozen
from attrs.validators import and_, ge, le
from torch import Tensor
from torch.nn.functional import embedding, pad

from diffx_core import TextEncoder, Tokens

SIGNS = 48
"""That say which byte it is."""
REACH = 2
"""Neighbours of a byte on each side that its token knows."""
WAVES = 8
LONGEST_WAVE = 512.0
NOTHING = 256
"""Stands for a byte beyond the ends of a text."""
WIDTH = (2 * REACH + 1) * SIGNS + 2 * WAVES


@cache
def codes() -> Tensor:
    """(257, SIGNS) of -1 and 1: bits of a hash, so they are the same everywhere and for ever.

    The last row is zero, and stands for no byte.
    """
    rows = [hashlib.sha256(bytes([byte])).digest()[: SIGNS // 8] for byte in range(256)]
    bits = [[(one >> k) & 1 for one in row for k in range(8)] for row in rows]
    return pad(2.0 * torch.tensor(bits, dtype=torch.float32) - 1, (0, 0, 0, 1))


@cache
def waves(length: int) -> Tensor:
    """(length, 2 WAVES) sine and cosine of the place."""
    rate = LONGEST_WAVE ** (-torch.arange(WAVES, dtype=torch.float64) / WAVES)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], dim=1).float()


@frozen(kw_only=True)
class Bytes(TextEncoder):
    """A token for each byte of a text: which it is, which are beside it, and where.

    It has no weights and needs no files, and suits short captions of a small world. It knows
    nothing of language: words that mean the same have nothing in common.

    Args:
        length: bytes of a text that are read; the rest is cut off.
    """

    length: int = field(default=64, validator=and_(ge(1), le(4096)))

    @property
    def width(self) -> int:
        """256 numbers for each token."""
        return WIDTH

    def count(self, text: str) -> int:
        """The bytes of a text."""
        return len(text.encode())

    def encode(self, texts: Sequence[str]) -> Tokens:
        """The bytes of each text."""
        found = [text.encode()[: self.length] for text in texts]
        padded = b"".join(one.ljust(self.length, b"\0") for one in found)
        byte = torch.frombuffer(bytearray(padded), dtype=torch.uint8).view(-1, self.length)
        size = torch.tensor([len(one) for one in found])
        mask = torch.arange(self.length) < size[:, None]
        byte = byte.int().masked_fill(~mask, NOTHING)
        window = pad(byte, (REACH, REACH), value=NOTHING).unfold(1, 2 * REACH + 1, 1)
        context = torch.empty(len(texts), self.length, WIDTH)
        context[..., : -2 * WAVES] = embedding(window, codes()).flatten(2)
        context[..., -2 * WAVES :] = waves(self.length)
        return Tokens(context.mul_(mask[..., None]), mask)
