"""Sizes of U-Nets that have names."""

from typing import Any

from attrs import evolve

from diffx_backbones.unet_plan import Plan

PLANS = {
    "tiny": Plan(channels=16, mults=(1, 2, 4), blocks=1, attention=(2,)),
    "small": Plan(channels=64, mults=(1, 2, 2), blocks=2, sides=(16, 8)),
    "ddpm35m": Plan(
        channels=128, mults=(1, 2, 2, 2), blocks=2, sides=(16,), dropout=0.1, steps_apart=True
    ),
    "ddpmpp": Plan(
        channels=128,
        mults=(2, 2, 2),
        blocks=4,
        sides=(16,),
        dropout=0.13,
        steps_apart=True,
        scaled=True,
    ),
    "adm": Plan(
        channels=192,
        mults=(1, 2, 3, 4),
        blocks=3,
        sides=(32, 16, 8),
        dropout=0.1,
        steps_apart=True,
    ),
}
"""By name; of the presets' sides, those that an image has are attended."""


EDM2_PLANS = {
    "tiny": Plan(channels=16, mults=(1, 2, 4), blocks=1, sides=(16, 8), steps_apart=True),
    "small": Plan(channels=64, mults=(1, 2, 2), blocks=2, sides=(16, 8), steps_apart=True),
    **{
        name: Plan(channels=channels, mults=(1, 2, 3, 4), blocks=3, sides=(16, 8), steps_apart=True)
        for name, channels in (
            ("XS", 128),
            ("S", 192),
            ("M", 256),
            ("L", 320),
            ("XL", 384),
            ("XXL", 448),
        )
    },
}
"""The same of magnitude-preserving U-Nets. XS to XXL are those of Karras et al., 2024."""


def varied(plan: Plan, **options: Any) -> Plan:  # noqa: ANN401  # fields of a Plan, or None
    """The plan with what was told besides it, unless it is None."""
    return evolve(plan, **{key: one for key, one in options.items() if one is not None})
