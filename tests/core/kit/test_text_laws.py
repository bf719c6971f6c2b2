"""The laws of text encoders find what they are there to find."""

import hashlib

import pytest
import torch
from attrs import field, frozen

from diffx_core import TextEncoder, Tokens
from diffx_core.testing import TEXT_LAWS

LAWS = {law.name: law for law in TEXT_LAWS}


@frozen(kw_only=True)
class Words(TextEncoder):
    """The bytes of the hash of each word, and a way to go wrong."""

    length: int = 12
    bug: str = ""
    seen: dict = field(factory=dict, init=False)

    @property
    def width(self):
        return 32

    @property
    def fingerprint(self):
        return str(id(self)) if self.bug == "restamped" else ""

    def count(self, text):
        count = len(text.split()) + 1
        match self.bug:
            case "cut count":
                return min(count, self.length)
            case "miscounted":
                return count + 1
        return count

    def encode(self, texts):
        context = torch.zeros(len(texts), self.length, self.width)
        mask = torch.zeros(len(texts), self.length, dtype=torch.bool)
        for i, text in enumerate(texts):
            words = ["", *text.split()]
            if self.bug == "sorted":
                words.sort()
            if self.bug == "last" and len(words) > self.length:
                words = words[-self.length + len(words) % 2 :]
            for j, word in enumerate(words[: self.length]):
                digest = hashlib.sha256(word.encode()).digest()
                context[i, j] = torch.tensor([*digest]) / 255
                mask[i, j] = True
        return self._spoilt(context, mask)

    def _spoilt(self, context, mask):
        match self.bug:
            case "double":
                context = context.double()
            case "bytes":
                mask = mask.byte()
            case "short":
                longest = int(mask.sum(1).max()) - 1
                context, mask = context[:, :longest], mask[:, :longest]
            case "nan":
                context[0, 0, 0] = torch.nan
            case "padded":
                context[~mask] = 1.0
            case "last come":
                context, mask = context.flip(1), mask.flip(1)
            case "company":
                context = torch.where(mask[..., None], context - context.mean(), 0)
            case "learned":
                context.requires_grad_()
            case "random":
                torch.rand(1)
            case "numbered":
                context[:, 0, 0] = context.new_tensor([self._number(row) for row in context])
            case "drawn":
                context[0, 0, 0] = float(torch.rand(1, generator=GENERATOR))
            case "kept":
                context, mask = KEPT.setdefault(
                    tuple(context.sum((1, 2)).tolist()), (context, mask)
                )
        return Tokens(context, mask)

    def _number(self, row):
        """How many texts were seen before it was."""
        return self.seen.setdefault(tuple(row.flatten().tolist()), len(self.seen))

    def __deepcopy__(self, memo):
        return Words(length=self.length, bug="sorted" if self.bug == "copy" else self.bug)


GENERATOR = torch.Generator()
KEPT = {}

SHAPE = "tokens are float32 (B, length, width), and the mask bool"
FINITE = "all values are finite, and zero where no token is"
CUT = "a text that is too long is cut"
COMPANY = "a text has the same tokens in any batch"
FOUND = {
    "double": SHAPE,
    "bytes": SHAPE,
    "short": SHAPE,
    "nan": FINITE,
    "padded": FINITE,
    "miscounted": "tokens come first, as many as are counted",
    "last come": "tokens come first, as many as are counted",
    "cut count": CUT,
    "last": CUT,
    "company": COMPANY,
    "drawn": COMPANY,
    "sorted": "other texts have other tokens",
    "learned": "nothing is learned",
    "kept": "tokens can be changed without changing the encoder",
    "copy": "a copy gives the same tokens",
    "restamped": "a copy gives the same tokens",
    "numbered": "a copy gives the same tokens",
    "random": "global random numbers are left alone",
}


@pytest.mark.parametrize("law", TEXT_LAWS, ids=str)
def test_an_encoder_without_faults_obeys(law):
    assert law.check(Words()).measured


@pytest.mark.parametrize("bug", FOUND)
def test_a_fault_is_found(bug):
    with pytest.raises(AssertionError, match=r"^Words: "):
        LAWS[FOUND[bug]].check(Words(bug=bug))


def test_every_law_finds_a_fault():
    assert {*FOUND.values()} == {*LAWS}
