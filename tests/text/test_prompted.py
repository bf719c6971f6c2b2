"""What a model is told by prompts, and a dataset by captions."""

import pytest
import torch
from attrs import evolve, frozen

from diffx_backbones.text.bytes import Bytes
from diffx_core import (
    Batch,
    ConfigError,
    Dataset,
    DataSpec,
    EncodedCaptions,
    GuidanceOptions,
    Likelihood,
    Pipeline,
)
from diffx_core.testing import DatasetSuite, GaussianDenoiser
from diffx_core.testing.oracle import ReferenceVP
from diffx_samplers.ddim import DDIM


@frozen(eq=False)
class ByText(GaussianDenoiser):
    """A model whose mean is how many tokens it is told, and -1 for those that are told nothing."""

    def __call__(self, x, t, cond=None):
        mean = torch.full((len(x), 1), -1.0, dtype=x.dtype)
        if cond is not None and cond.mask is not None:
            count = cond.mask.sum(1, keepdim=True)
            mean = torch.where(count > 0, count, mean)
        return GaussianDenoiser(self.scheduler, mean)(x, t)


ENCODER = Bytes(length=8)
SPEC = DataSpec((3,), context=ENCODER.width, captions=True)
MODEL = Pipeline(ByText(ReferenceVP()), SPEC, dtype=torch.float64, text=ENCODER)
METHOD = DDIM(steps=20)


@pytest.fixture
def draw():
    def run(n=3, **options):
        return MODEL.sample(n, sampler=METHOD, seed=1, **options)

    return run


def test_a_prompt_is_for_all_samples_or_each_has_its_own(draw):
    each = draw(prompt=["a", "abc", "a"])
    assert torch.equal(draw(prompt="a")[[0, 2]], each[[0, 2]])
    assert torch.equal(draw(prompt="abc")[1], each[1])
    assert torch.equal(draw(prompt=["a", "abc", "a"], batch_size=1), each)
    assert float((draw(prompt="abc") - draw(prompt="a")).min()) > 1


def test_samples_without_a_prompt_are_told_nothing(draw):
    assert float((draw(prompt="a") - draw()).min()) > 1
    assert torch.equal(draw(prompt=""), draw())


def test_guidance_goes_from_nothing_to_the_prompt(draw):
    plain, guided = draw(prompt="a"), draw(prompt="a", guidance=GuidanceOptions(scale=2.0))
    assert float((guided - plain).min()) > 1


WAYS = {
    "encode": MODEL.encode,
    "decode": MODEL.decode,
    "edit": lambda x, **told: MODEL.edit(x, 0.5, **told),
    "interpolate": lambda x, **told: MODEL.interpolate(3, **told),
    "interpolate-between": lambda x, **told: MODEL.interpolate(3, between=x, **told),
    "log_likelihood": lambda x, **told: (
        MODEL.log_likelihood(x, method=Likelihood(steps=5), **told).total
    ),
    "bits_per_dim": lambda x, **told: evolve(
        MODEL, spec=evolve(SPEC, value_range=(-4.0, 4.0), levels=9)
    ).bits_per_dim(x, method=Likelihood(steps=5), **told),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_use_of_a_model_takes_a_prompt(way):
    x = torch.linspace(-2, 2, 6, dtype=torch.float64).view(2, 3)
    found = [WAYS[way](x, prompt=prompt) for prompt in ("a", "a", "abcdef")]
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2], atol=0.1)


REFUSED = {
    "too-long": ({}, {"prompt": "x" * 9}, "'xxxxxxxxx' has 9 tokens, and the model reads 8"),
    "count": ({}, {"prompt": ["a", "b"]}, "2 prompts for 3 samples"),
    "no-text": ({"spec": DataSpec((3,))}, {"prompt": "a"}, "was trained without texts"),
    "no-encoder": ({"text": None}, {"prompt": "a"}, "nobody said which text encoder"),
    "unguided": ({}, {"guidance": GuidanceOptions(scale=2.0)}, "towards a prompt, and none"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_model_does_not_read_is_refused(case):
    facts, told, reason = REFUSED[case]
    with pytest.raises(ConfigError, match=reason):
        evolve(MODEL, **facts).sample(3, sampler=METHOD, **told)


@frozen(kw_only=True)
class Counted(Dataset):
    """Numbers with their names."""

    captions: bool = True
    context: int | None = None

    @property
    def spec(self):
        return DataSpec((1,), sigma_data=0.5**0.5, captions=self.captions, context=self.context)

    def __len__(self):
        return 8

    def batch(self, index):
        if not 0 <= int(index.min()) <= int(index.max()) < 8:
            raise IndexError
        x = (index % 2)[:, None].float()
        return Batch(x, index=index, captions=[f"a {number % 3}" for number in index.tolist()])


class TestEncodedCaptions(DatasetSuite):
    def component(self):
        return EncodedCaptions(Counted(), Bytes(length=8))


def test_each_example_has_the_tokens_of_its_caption():
    found = EncodedCaptions(Counted(), ENCODER).batch(torch.tensor([5, 0, 3]))
    wanted = ENCODER.encode(["a 2", "a 0", "a 0"])
    assert found.captions == ["a 2", "a 0", "a 0"]
    assert torch.equal(found.cond.context, wanted.context)
    assert torch.equal(found.cond.mask, wanted.mask)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (Counted(captions=False), "there are no captions"),
        (Counted(context=3), "context tokens of their own"),
    ],
)
def test_data_that_have_nothing_to_encode_are_refused(data, reason):
    with pytest.raises(ConfigError, match=reason):
        EncodedCaptions(data, ENCODER)
