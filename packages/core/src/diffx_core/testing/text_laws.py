"""What must hold of every text encoder: a text has tokens of its own, and always the same."""

import copy

import torch

from diffx_core.testing.dataset_laws import anew, share_of
from diffx_core.testing.global_state import left_alone
from diffx_core.testing.law import Law, Measurement
from diffx_core.text import TextEncoder, Tokens

TEXTS = (
    "a red square on a blue circle",
    "a blue square on a red circle",
    "a square",
    "",
    "Der Käfer isst 日本語 🐛",
)
WORD = "square "


def _long(encoder: TextEncoder) -> str:
    """A text of more tokens than are read."""
    return WORD * (encoder.length + 1)


def _tokens(encoder: TextEncoder) -> Tokens:
    return encoder.encode([*TEXTS, _long(encoder)])


def _shape(encoder: TextEncoder) -> Measurement:
    context, mask = _tokens(encoder)
    wanted = (len(TEXTS) + 1, encoder.length, encoder.width)
    wrong = tuple(context.shape) != wanted or tuple(mask.shape) != wanted[:2]
    wrong = wrong or (context.dtype, mask.dtype) != (torch.float32, torch.bool)
    detail = f"{context.dtype} {tuple(context.shape)}, {mask.dtype} {tuple(mask.shape)}"
    return share_of(wrong, detail)


def _finite(encoder: TextEncoder) -> Measurement:
    context, mask = _tokens(encoder)
    return share_of(~context.isfinite() | (~mask[..., None] & (context != 0)))


def _counted(encoder: TextEncoder) -> Measurement:
    mask = _tokens(encoder).mask
    counts = [min(encoder.count(text), encoder.length) for text in (*TEXTS, _long(encoder))]
    wanted = torch.arange(encoder.length) < torch.tensor(counts)[:, None]
    return share_of(mask.cpu() != wanted)


def _cut(encoder: TextEncoder) -> Measurement:
    text = _long(encoder)
    one, other = encoder.encode([text]), encoder.encode([text + WORD])
    wrong = [encoder.count(text) <= encoder.length, not one.mask.all(), not _same(one, other)]
    return share_of(torch.tensor(wrong))


def _company(encoder: TextEncoder) -> Measurement:
    together = encoder.encode(TEXTS)
    backwards = encoder.encode(TEXTS[::-1])
    wrong = [not torch.equal(a, b.flip(0)) for a, b in zip(together, backwards, strict=True)]
    for k, text in enumerate(TEXTS):
        alone = Tokens(together.context[k : k + 1], together.mask[k : k + 1])
        wrong += [not _same(encoder.encode([text]), alone)]
    return share_of(torch.tensor(wrong))


def _different(encoder: TextEncoder) -> Measurement:
    tokens = [encoder.encode([text]) for text in TEXTS[:4]]
    pairs = [(a, b) for i, a in enumerate(tokens) for b in tokens[:i]]
    return share_of(torch.tensor([_same(a, b) for a, b in pairs]))


def _learns_nothing(encoder: TextEncoder) -> Measurement:
    return share_of(_tokens(encoder).context.requires_grad)


def _own(encoder: TextEncoder) -> Measurement:
    before = encoder.encode(TEXTS)
    kept = Tokens(before.context.clone(), before.mask.clone())
    before.context.fill_(torch.nan)
    before.mask.fill_(value=False)
    return share_of(not _same(encoder.encode(TEXTS), kept))


def _copied(encoder: TextEncoder) -> Measurement:
    """Whether a copy, and a new encoder that reads the texts in another order, say the same."""
    tokens, wrong = encoder.encode(TEXTS), list[bool]()
    others = (copy.deepcopy(encoder), anew(encoder))
    for other in (one for one in others if one is not None):
        backwards = other.encode(TEXTS[::-1])
        flipped = Tokens(backwards.context.flip(0), backwards.mask.flip(0))
        wrong += [other.fingerprint != encoder.fingerprint, not _same(flipped, tokens)]
    return share_of(torch.tensor(wrong))


def _global_state(encoder: TextEncoder) -> Measurement:
    return left_alone(lambda: _tokens(encoder))


def _same(one: Tokens, other: Tokens) -> bool:
    return torch.equal(one.context, other.context) and torch.equal(one.mask, other.mask)


TEXT_LAWS: tuple[Law[TextEncoder], ...] = (
    Law("tokens are float32 (B, length, width), and the mask bool", _shape),
    Law("all values are finite, and zero where no token is", _finite),
    Law("tokens come first, as many as are counted", _counted),
    Law("a text that is too long is cut", _cut),
    Law("a text has the same tokens in any batch", _company),
    Law("other texts have other tokens", _different),
    Law("nothing is learned", _learns_nothing),
    Law("tokens can be changed without changing the encoder", _own),
    Law("a copy gives the same tokens", _copied),
    Law("global random numbers are left alone", _global_state),
)
