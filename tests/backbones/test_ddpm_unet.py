"""The published U-Net obeys the laws, and is refused where it cannot be."""

from functools import partial

import pytest
import torch

from diffx_backbones.ddpm_unet import DDPMUNet
from diffx_core import Condition, ConfigError, DataSpec
from diffx_core.testing import BackboneSuite

SMALL = partial(DDPMUNet, channels=(8, 16), norm_groups=4)
SPEC = DataSpec((2, 8, 12), num_classes=3)
KINDS = {
    "ddpm": SMALL,
    "adm": partial(
        SMALL,
        resample="block",
        modulation="scale_shift",
        head_width=4,
        blocks=2,
        checkpointing=True,
    ),
    "after": partial(SMALL, padding="after", attention=(), middle_attention=False),
}


class TestLaws(BackboneSuite):
    @pytest.fixture(autouse=True, params=KINDS)
    def network(self, request):
        self.build = KINDS[request.param]

    def component(self):
        return self.build


PUBLISHED = {
    "ddpm of 32 x 32": ({"channels": (128, 256, 256, 256), "blocks": 2}, None, 35.7),
    "adm of 64 x 64": (
        {
            "channels": (192, 384, 576, 768),
            "blocks": 3,
            "attention": (1, 2, 3),
            "head_width": 64,
            "resample": "block",
            "modulation": "scale_shift",
        },
        1000,
        296,
    ),
}


@pytest.mark.parametrize(("options", "classes", "published"), PUBLISHED.values(), ids=PUBLISHED)
def test_it_is_as_large_as_published(options, classes, published):
    with torch.device("meta"):
        network = DDPMUNet(DataSpec((3, 64, 64), classes), **options)
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    assert millions == pytest.approx(published, rel=0.005)


REFUSED = {
    "vectors": (DataSpec((4,)), {}, "ddpm_unet needs images"),
    "context": (DataSpec((2, 8, 8), context=4), {}, "ddpm_unet reads no context tokens"),
    "no level": (SPEC, {"channels": ()}, "channels must name at least one level"),
    "no channel": (SPEC, {"channels": (8, 0)}, r"channels\[1\] must be at least 1, got 0"),
    "no block": (SPEC, {"blocks": 0}, "blocks must be at least 1"),
    "an odd side": (
        DataSpec((2, 6, 7)),
        {},
        "width 7 is not divisible by 2, the reduction by 2 levels",
    ),
    "a level that is not there": (SPEC, {"attention": (2,)}, "the levels are 0 to 1"),
    "groups": (SPEC, {"norm_groups": 3}, r"channels\[0\] 8 is not divisible by 3"),
    "heads": (SPEC, {"heads": 5}, r"channels\[1\] 16 is not divisible by 5, the number of heads"),
    "width of heads": (SPEC, {"head_width": 5}, "divisible by 5, the width of a head"),
    "no width of heads": (SPEC, {"head_width": 0}, "head_width must be at least 1"),
    "dropout": (SPEC, {"dropout": 1.0}, "dropout must be from 0 up to 1, got 1"),
    "eps": (SPEC, {"norm_eps": 0.0}, "norm_eps must be above 0"),
    "features": (SPEC, {"noise_features": 7}, "noise_features must be even"),
}


@pytest.mark.parametrize(("spec", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_what_it_cannot_be_is_refused(spec, options, message):
    with pytest.raises(ConfigError, match=message):
        SMALL(spec, **options)


def test_heads_where_there_is_no_attention_may_be_of_any_number():
    assert SMALL(SPEC, heads=5, attention=(), middle_attention=False)


def test_a_new_network_says_zero():
    y = SMALL(SPEC)(torch.randn(2, 2, 8, 12), torch.zeros(2), Condition())
    assert not y.any()
