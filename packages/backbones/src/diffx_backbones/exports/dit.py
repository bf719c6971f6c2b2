"""`dit` as a DiTTransformer2DModel of diffusers: the import backwards.

Every block there has an embedder of the noise level and the class of its own, where ours are told
by one: all get the same. Their table of classes has a last row for what is told none.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from diffx_backbones.embedding import MAX_PERIOD
from diffx_backbones.imports.dit_names import DIFFUSERS, FIRST
from diffx_backbones.imports.moves import reordered
from diffx_backbones.presets import SIZES, Size, size_of
from diffx_backbones.transformer import EPS
from diffx_core import ConfigError, DataSpec, ExportedModel

FEATURES = 256
"""Sinusoids of the noise level, of which diffusers has no other number."""
PERIOD = MAX_PERIOD ** (FEATURES // 2 / (FEATURES // 2 - 1))
"""With which ours have the frequencies of theirs."""
OPTIONS = {
    "mlp_ratio": 4,
    "activation": "gelu",
    "pe": "abs",
    "qk_norm": False,
    "registers": 0,
    "class_tokens": 0,
    "noise_features": FEATURES,
    "noise_scale": 1.0,
}
"""What a network must be to have a twin."""
TABLE = "condition.classes.table.weight"
LAYERS = {
    "attention.out": DIFFUSERS.attended,
    "mlp.fc1": DIFFUSERS.mlp[0],
    "mlp.fc2": DIFFUSERS.mlp[1],
}
"""Of a block, those that are carried over as they are."""


def export_dit(
    spec: DataSpec, options: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> ExportedModel:
    """The same network there.

    Raises:
        ConfigError: diffusers has none that is the same.
    """
    if problems := _problems(spec, options):
        raise ConfigError(*problems)
    told = {name: options[name] for name in ("patch", "width", "depth", "heads")}
    size = size_of(options["preset"], SIZES, **told)
    none, table = _classes(spec, weights, size)
    moved = {
        **_ends(spec, weights, size),
        **dict(_blocks(weights, size)),
        **dict(_embedders(weights, table, size)),
    }
    config = {
        "_class_name": "DiTTransformer2DModel",
        "sample_size": spec.shape[1],
        "patch_size": size.patch,
        "in_channels": spec.shape[0],
        "out_channels": spec.shape[0],
        "num_layers": size.depth,
        "num_attention_heads": size.heads,
        "attention_head_dim": size.width // size.heads,
        "num_embeds_ada_norm": len(table) - 1,
        "activation_fn": "gelu-approximate",
        "norm_type": "ada_norm_zero",
        "norm_elementwise_affine": False,
        "norm_eps": EPS,
    }
    return ExportedModel(
        name="DiTTransformer2DModel", config=config, weights=moved, notes=(none,) if none else ()
    )


def _problems(spec: DataSpec, options: Mapping[str, Any]) -> list[str]:
    """What diffusers has no such network for."""
    wrong = [
        f"has {name} {options[name]}: a DiT of diffusers has {value}"
        for name, value in OPTIONS.items()
        if options[name] != value
    ]
    if abs(options["noise_period"] - PERIOD) > 1e-6 * PERIOD:
        wrong.append(f"has noise_period {options['noise_period']:g}: diffusers has {PERIOD:.2f}")
    height, width = spec.shape[1:]
    if height != width:
        wrong.append(f"is of images {height} by {width}: a DiT of diffusers is of square ones")
    for has_it, what in (
        (spec.paired, "an image beside x"),
        (spec.context is not None, "texts"),
    ):
        if has_it:
            wrong.append(f"reads {what}: a DiT of diffusers does not")
    return [f"the network {one}" for one in wrong]


def _classes(spec: DataSpec, weights: Mapping[str, Tensor], size: Size) -> tuple[str, Tensor]:
    """What to say of the classes, and their table with none at its end."""
    if spec.num_classes is None:
        return "takes 0 for the class, which says nothing", torch.zeros(2, size.width)
    table = weights[TABLE].roll(-1, dims=0)
    return f"class {spec.num_classes} there stands for none" * bool(table[-1].any()), table


def _ends(spec: DataSpec, weights: Mapping[str, Tensor], size: Size) -> dict[str, Tensor]:
    """The first layer, a convolution there, and the last two."""
    channels, patch = spec.shape[0], size.patch
    first, last, out = DIFFUSERS.stem, *DIFFUSERS.last
    moved = {
        f"{first}.weight": weights["stem.weight"].unflatten(1, (channels, patch, patch)),
        f"{first}.bias": weights["stem.bias"],
    }
    for kind in ("weight", "bias"):
        moved[f"{last}.{kind}"] = reordered(weights[f"modulation.{kind}"], (1, 0))
        moved[f"{out}.{kind}"] = rearrange(
            weights[f"out.{kind}"], "(c p q) ... -> (p q c) ...", p=patch, q=patch
        ).contiguous()
    return moved


def _blocks(weights: Mapping[str, Tensor], size: Size) -> Iterator[tuple[str, Tensor]]:
    for i in range(size.depth):
        ours, theirs = f"blocks.{i}", f"{DIFFUSERS.block}.{i}"
        for kind in ("weight", "bias"):
            for name, there in LAYERS.items():
                yield f"{theirs}.{there}.{kind}", weights[f"{ours}.{name}.{kind}"]
            modulation = weights[f"{ours}.modulation.{kind}"]
            yield (
                f"{theirs}.{DIFFUSERS.modulation}.{kind}",
                reordered(modulation, (1, 0, 2, 4, 3, 5)),
            )
            rows = weights[f"{ours}.attention.qkv.{kind}"].chunk(3)
            for there, one in zip(DIFFUSERS.qkv, rows, strict=True):
                yield f"{theirs}.{there}.{kind}", one.contiguous()


def _embedders(
    weights: Mapping[str, Tensor], table: Tensor, size: Size
) -> Iterator[tuple[str, Tensor]]:
    """What tells a block the noise level and the class, for each."""
    one = {DIFFUSERS.classes: table}
    for ours, theirs in zip(("hidden", "out"), DIFFUSERS.noise, strict=True):
        for kind in ("weight", "bias"):
            one[f"{theirs}.{kind}"] = weights[f"condition.noise.{ours}.{kind}"]
    for i in range(size.depth):
        place = FIRST.replace(".0.", f".{i}.", 1)
        yield from ((name.replace(FIRST, place), held.clone()) for name, held in one.items())
