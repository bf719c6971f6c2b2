"""DiT and SiT as they were published, and the DiT of diffusers, into `dit`."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from diffx_backbones.embedding import MAX_PERIOD
from diffx_backbones.imports.dit_found import Found
from diffx_backbones.imports.dit_names import DIFFUSERS, PUBLISHED, Names, layout_of
from diffx_backbones.imports.moves import (
    agreed,
    carry,
    count_of,
    data_spec,
    image_shape,
    is_size,
    shape_of,
    shapes_of,
    unknown,
)
from diffx_backbones.imports.process import process_of
from diffx_backbones.positions import positions
from diffx_backbones.presets import SIZES
from diffx_core import CheckpointError, ConfigError, DataSpec, ForeignWeights, ImportedModel

LEAST_EPS, MOST_EPS = 1e-6, 1e-5
"""Beside the variance of a norm: what is between them gives equal numbers."""
CHECKED = (
    "num_attention_heads",
    "attention_head_dim",
    "in_channels",
    "out_channels",
    "num_layers",
    "dropout",
    "norm_num_groups",
    "attention_bias",
    "sample_size",
    "patch_size",
    "num_embeds_ada_norm",
    "upcast_attention",
    "norm_eps",
)
"""Options of a DiT of diffusers that the tensors say too, that are checked, or for training."""
SIT_TIMES = 1000
"""Noise labels here are 1000 times those of SiT."""


def import_dit(network: Callable[..., nn.Module], foreign: ForeignWeights) -> ImportedModel:
    """The weights of a layout."""
    found = _found_in(foreign)
    options, is_sit = found.options, found.is_sit
    spec = data_spec(
        _shape(foreign, found.channels, options["patch"]), _classes(foreign, found.names)
    )
    _check_positions(foreign, spec, options["patch"], options["width"])
    notes, process = found.notes(), process_of(foreign)
    return ImportedModel(
        layout=found.layout,
        spec=spec,
        options=options,
        weights=carry(foreign, found.moves(), shapes_of(network, spec, options), found.spare()),
        scheduler="rectified_flow" if is_sit else process.scheduler,
        scheduler_options={} if is_sit else process.options,
        prediction="flow" if is_sit else process.prediction,
        knows_nothing_told=True,
        notes=notes,
    )


def _found_in(foreign: ForeignWeights) -> Found:
    """What the file is, by its names and the shapes of its tensors."""
    layout = layout_of(foreign)
    names = DIFFUSERS if layout == "diffusers" else PUBLISHED
    if layout == "diffusers":
        _check_config(foreign)
    options, channels = _options(foreign, names, layout)
    rows = shape_of(foreign, f"{names.last[1]}.weight", 2)[0]
    return Found(
        foreign=foreign,
        layout=layout,
        names=names,
        options=options,
        channels=channels,
        said=rows // options["patch"] ** 2,
    )


def _options(foreign: ForeignWeights, names: Names, layout: str) -> tuple[dict[str, Any], int]:
    """The options of `dit`, and the channels of the data."""
    width, channels, patch, _ = shape_of(foreign, f"{names.stem}.weight", 4)
    features = shape_of(foreign, f"{names.noise[0]}.weight", 2)[1]
    hidden = shape_of(foreign, f"{names.block}.0.{names.mlp[0]}.weight", 2)[0]
    found: dict[str, Any] = {
        "patch": patch,
        "width": width,
        "depth": count_of(foreign, names.block),
        "mlp_ratio": hidden // width,
        "activation": "gelu",
        "noise_features": features,
        "noise_scale": 1 / SIT_TIMES if layout == "sit" else 1.0,
    }
    if "num_attention_heads" in foreign.config:
        found["heads"] = foreign.config["num_attention_heads"]
    published = {(w, d): heads for w, d, heads in SIZES.values()}
    options = agreed(foreign, found)
    options.setdefault("heads", published.get((width, options["depth"])))
    if options["heads"] is None:
        raise ConfigError(f"{foreign.path}: does not say how many heads: give --backbone.heads")
    if layout == "diffusers":
        half = features // 2
        options.setdefault("noise_period", MAX_PERIOD ** (half / (half - 1)))
    return options, channels


def _shape(foreign: ForeignWeights, channels: int, patch: int) -> tuple[int, ...]:
    found: int | None = foreign.config.get("sample_size")
    if "pos_embed" in foreign.tensors:
        found = patch * math.isqrt(shape_of(foreign, "pos_embed", 3)[1])
    return image_shape(foreign, channels, found)


def _classes(foreign: ForeignWeights, names: Names) -> int:
    rows = shape_of(foreign, names.classes, 2)[0]
    if foreign.num_classes not in (None, rows - 1):
        raise ConfigError(
            f"{foreign.path}: has {rows - 1} classes and one for none, not {foreign.num_classes}"
        )
    return rows - 1


def _check_config(foreign: ForeignWeights) -> None:
    """Refuse what a DiT of diffusers may be, and `dit` is not."""
    wanted = {
        "_class_name": "DiTTransformer2DModel",
        "activation_fn": "gelu-approximate",
        "norm_type": "ada_norm_zero",
        "norm_elementwise_affine": False,
        # of the class of which the DiT was a part once
        "cross_attention_dim": None,
        "double_self_attention": False,
        "num_vector_embeds": None,
        "only_cross_attention": False,
        "use_linear_projection": False,
    }
    wrong = [
        f"{foreign.path}: {name} is {foreign.config[name]!r}, and dit has {value!r} only"
        for name, value in wanted.items()
        if foreign.config.get(name, value) != value
    ]
    wrong += [
        f"{foreign.path}: {name} is {foreign.config[name]!r}, and should be a number"
        for name in ("sample_size", "num_attention_heads")
        if not is_size(foreign.config.get(name, 1))
    ]
    eps = foreign.config.get("norm_eps", MOST_EPS)
    if not isinstance(eps, float) or not LEAST_EPS <= eps <= MOST_EPS:
        wrong.append(
            f"{foreign.path}: norm_eps is {eps!r}, and dit has {LEAST_EPS} to {MOST_EPS} only"
        )
    if wrong := [*wrong, *unknown(foreign, (*wanted, *CHECKED))]:
        raise CheckpointError(*wrong)


def _check_positions(foreign: ForeignWeights, spec: DataSpec, patch: int, width: int) -> None:
    found = foreign.tensors.get("pos_embed")
    if found is None:
        return
    rows, columns = (side // patch for side in spec.shape[1:])
    ours = positions(rows, columns, width)
    if found.shape[-2:] != ours.shape:
        raise ConfigError(
            f"{foreign.path}: is of {found.shape[-2]} patches, and images {spec.shape} have"
            f" {rows * columns}"
        )
    # positions of half precision are good to 1e-3
    if not torch.allclose(found.float().view_as(ours), ours, atol=1e-2):
        raise CheckpointError(f"{foreign.path}: pos_embed is learned, and dit computes positions")
