"""`ddpm_unet` as a UNet2DModel of diffusers: the import backwards.

What diffusers has no option for is refused. A table of classes there has no row for what is told
none; if ours was trained with one, it follows the others as one class more.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from diffx_backbones.embedding import MAX_PERIOD
from diffx_backbones.imports.unet2d import ATTENTION, BLOCK, places_of
from diffx_backbones.imports.unet_names import Places
from diffx_core import ConfigError, DataSpec, ExportedModel, ForeignWeights

TABLE = "condition.classes.table.weight"
LAYERS = {
    "stem": "conv_in",
    "condition.noise.hidden": "time_embedding.linear_1",
    "condition.noise.out": "time_embedding.linear_2",
    "norm": "conv_norm_out",
    "out": "conv_out",
}
PARTS = ("norm1", "conv1", "modulation", "norm2", "conv2", "skip")


def export_unet2d(
    spec: DataSpec, options: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> ExportedModel:
    """The same network there.

    Raises:
        ConfigError: diffusers has none that is the same.
    """
    config = _config(spec, options)
    steps = {
        f"{way}_blocks.{i}.{way}samplers.0.conv.weight": torch.empty(0)
        for way in ("down", "up")
        for i in range(len(options["channels"]) - 1)
    }
    steps = steps if options["resample"] == "conv" else {}
    places = places_of(ForeignWeights(path="", tensors=steps), dict(options))
    moved = dict(_moved(weights, places))
    notes: tuple[str, ...] = ()
    if spec.num_classes is not None:
        none, *known = weights[TABLE].split([1, spec.num_classes])
        table = known[0]
        if none.any():
            table = torch.cat([table, none])
            notes = (f"class {spec.num_classes} there stands for none",)
        moved["class_embedding.weight"] = table
        config["num_class_embeds"] = len(table)
    return ExportedModel(name="UNet2DModel", config=config, weights=moved, notes=notes)


def _moved(weights: Mapping[str, Tensor], places: Places) -> Iterator[tuple[str, Tensor]]:
    names = {**LAYERS, **places.convolved}
    for ours, theirs in places.blocks.items():
        names |= {f"{ours}.{one}": f"{theirs}.{getattr(BLOCK, one)}" for one in PARTS}
    for ours, theirs in places.attentions.items():
        names[f"{ours}.norm"] = f"{theirs}.{ATTENTION.norm}"
        names[f"{ours}.attention.out"] = f"{theirs}.{ATTENTION.out}"
    for name, one in weights.items():
        owner, _, kind = name.rpartition(".")
        if owner in names:
            yield f"{names[owner]}.{kind}", one
        elif owner.endswith(".attention.qkv"):
            theirs = places.attentions[owner.removesuffix(".attention.qkv")]
            for part, rows in zip(ATTENTION.qkv, one.chunk(3), strict=True):
                yield f"{theirs}.{part}.{kind}", rows.contiguous()
        else:
            assert name == TABLE, f"{name} goes nowhere"


def _config(spec: DataSpec, options: Mapping[str, Any]) -> dict[str, Any]:
    channels, attention = options["channels"], options["attention"]
    attended = [level in attention for level in range(len(channels))]
    in_blocks = options["resample"] == "block"
    down, up = (
        ("ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D")
        if in_blocks
        else ("DownBlock2D", "UpBlock2D")
    )
    manner = "resnet" if in_blocks else "conv"
    height, width = spec.shape[1:]
    return {
        "_class_name": "UNet2DModel",
        "sample_size": height if height == width else [height, width],
        "in_channels": spec.shape[0],
        "out_channels": spec.shape[0],
        "block_out_channels": list(channels),
        "layers_per_block": options["blocks"],
        "down_block_types": ["AttnDownBlock2D" if one else down for one in attended],
        "up_block_types": ["AttnUpBlock2D" if one else up for one in reversed(attended)],
        "downsample_type": manner,
        "upsample_type": manner,
        "downsample_padding": 1 if options["padding"] == "both" else 0,
        "add_attention": options["middle_attention"],
        "attention_head_dim": _head(options),
        "resnet_time_scale_shift": (
            "default" if options["modulation"] == "shift" else "scale_shift"
        ),
        "norm_num_groups": options["norm_groups"],
        "attn_norm_num_groups": options["norm_groups"],  # or the middle has no norm, if scale_shift
        "norm_eps": options["norm_eps"],
        "dropout": options["dropout"],
        "flip_sin_to_cos": True,
        "freq_shift": _shift(spec, options),
    }


def _head(options: Mapping[str, Any]) -> int | None:
    """The channels of a head, of which diffusers has one number for all levels."""
    if options["head_width"] is not None:
        return int(options["head_width"])
    if options["heads"] == 1:
        return None
    levels = {*options["attention"], *([-1] if options["middle_attention"] else [])}
    widths = {options["channels"][level] // options["heads"] for level in levels}
    if len(widths) > 1:
        raise ConfigError(
            f"{options['heads']} heads have other widths at each level, and those of diffusers have"
            " one: it has no such network"
        )
    return int(next(iter(widths), 8))


def _shift(spec: DataSpec, options: Mapping[str, Any]) -> int:
    """How diffusers spaces the frequencies of the noise level."""
    problems = []
    if spec.paired:
        problems.append("reads an image beside x")
    if options["noise_features"] not in (None, options["channels"][0]):
        problems.append("has noise_features other than the channels of level 0")
    half, period = options["channels"][0] // 2, options["noise_period"]
    known = {0: MAX_PERIOD, 1: MAX_PERIOD ** (half / (half - 1)) if half > 1 else None}
    found = [
        shift
        for shift, one in known.items()
        if one is not None and abs(one - period) < 1e-6 * period
    ]
    if not found:
        problems.append(f"has noise_period {period:g}")
    if problems:
        raise ConfigError(*(f"the network {one}: diffusers has none that does" for one in problems))
    return found[0]
