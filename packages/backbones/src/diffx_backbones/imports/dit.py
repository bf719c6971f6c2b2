"""DiT and SiT as they were published, and the DiT of diffusers, into `dit`.

The published networks are told t in 0 .. 999, with cos(w t) and sin(w t). SiT is told 1 - t of the
time here, and says the velocity towards the data; with t' = t / 1000 the angle w (1 - t') turns
into w and w t' by the addition theorem, which the first layer can do:

    a cos(w - w t') + b sin(w - w t') = (a cos w + b sin w) cos w t' + (a sin w - b cos w) sin w t'
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from diffx_backbones.embedding import MAX_PERIOD
from diffx_backbones.imports.dit_names import (
    DIFFUSERS,
    EMBEDDERS,
    FIRST,
    PUBLISHED,
    Names,
    layout_of,
)
from diffx_backbones.imports.moves import (
    Move,
    agreed,
    carry,
    count_of,
    data_spec,
    halved,
    image_shape,
    is_size,
    layer,
    same,
    shape_of,
    shapes_of,
)
from diffx_backbones.imports.process import process_of
from diffx_backbones.positions import positions
from diffx_backbones.presets import SIZES
from diffx_core import CheckpointError, ConfigError, DataSpec, ForeignWeights, ImportedModel

PERIOD_NOTE = (
    "noise features have the frequencies of diffusers, which are not quite those of the network as"
    " published; --backbone.noise_period 10000 takes the latter"
)
SIT_NOTE = "the second half of the output, which SiT does not use, is left out"
LEAST_EPS, MOST_EPS = 1e-6, 1e-5
"""Beside the variance of a norm: what is between them gives equal numbers."""
SIT_TIMES = 1000
"""Noise labels here are 1000 times those of SiT."""


def import_dit(network: Callable[..., nn.Module], foreign: ForeignWeights) -> ImportedModel:
    """The weights of a layout."""
    layout = layout_of(foreign)
    is_sit = layout == "sit"
    names = DIFFUSERS if layout == "diffusers" else PUBLISHED
    if layout == "diffusers":
        _check_config(foreign)
    options, channels = _options(foreign, names, layout)
    spec = data_spec(_shape(foreign, channels, options["patch"]), _classes(foreign, names))
    _check_positions(foreign, spec, options["patch"], options["width"])
    patch, depth = options["patch"], options["depth"]
    said = shape_of(foreign, f"{names.last[1]}.weight", 2)[0] // patch**2
    notes = halved(said, channels, foreign)
    if notes and is_sit:
        notes = (SIT_NOTE,)
    moves = [
        *layer("stem", names.stem, change=_flat),
        *_condition(names, options, is_sit=is_sit),
        *_blocks(names, depth),
        *layer("modulation", names.last[0], change=partial(_parts, order=(1, 0))),
        *layer(
            "out",
            names.last[1],
            change=partial(_output, channels=channels, said=said, patch=patch, is_turned=is_sit),
        ),
    ]
    spare = _repeated(foreign, depth) if layout == "diffusers" else {"pos_embed"}
    if layout == "diffusers" and "noise_period" not in foreign.options:
        notes += (PERIOD_NOTE,)
    process = process_of(foreign)
    return ImportedModel(
        layout=layout,
        spec=spec,
        options=options,
        weights=carry(foreign, moves, shapes_of(network, spec, options), spare),
        scheduler="rectified_flow" if is_sit else process.scheduler,
        scheduler_options={} if is_sit else process.options,
        prediction="flow" if is_sit else process.prediction,
        knows_nothing_told=True,
        notes=notes,
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
    if wrong:
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


def _condition(names: Names, options: dict[str, Any], *, is_sit: bool) -> list[Move]:
    hidden, out = names.noise
    turn = partial(_turned, period=options.get("noise_period", MAX_PERIOD)) if is_sit else same
    return [
        Move("condition.noise.hidden.weight", (f"{hidden}.weight",), turn),
        Move("condition.noise.hidden.bias", (f"{hidden}.bias",)),
        *layer("condition.noise.out", out),
        Move(
            "condition.classes.table.weight",
            (names.classes,),
            partial(torch.roll, shifts=1, dims=0),
        ),
    ]


def _blocks(names: Names, depth: int) -> list[Move]:
    moves: list[Move] = []
    order = partial(_parts, order=(1, 0, 2, 4, 3, 5))
    for i in range(depth):
        ours, theirs = f"blocks.{i}", f"{names.block}.{i}"
        moves += layer(f"{ours}.modulation", f"{theirs}.{names.modulation}", change=order)
        moves += layer(f"{ours}.attention.qkv", *(f"{theirs}.{one}" for one in names.qkv))
        moves += layer(f"{ours}.attention.out", f"{theirs}.{names.attended}")
        moves += layer(f"{ours}.mlp.fc1", f"{theirs}.{names.mlp[0]}")
        moves += layer(f"{ours}.mlp.fc2", f"{theirs}.{names.mlp[1]}")
    return moves


def _repeated(foreign: ForeignWeights, depth: int) -> set[str]:
    """The embedders of the blocks but the first, which have to be copies of that one's."""
    copies = {
        f"{DIFFUSERS.block}.{i}.{EMBEDDERS}{name.removeprefix(FIRST)}": name
        for name in foreign.tensors
        if name.startswith(FIRST)
        for i in range(1, depth)
    }
    different = [
        copy
        for copy, name in copies.items()
        if copy in foreign.tensors and not torch.equal(foreign.tensors[copy], foreign.tensors[name])
    ]
    if different:
        raise CheckpointError(
            f"{foreign.path}: {different[0]} differs from that of block 0, and dit tells all blocks"
            " the same"
        )
    return {copy for copy in copies if copy in foreign.tensors}


def _flat(one: Tensor) -> Tensor:
    return one.flatten(1) if one.ndim == 4 else one


def _parts(one: Tensor, order: tuple[int, ...]) -> Tensor:
    """Rows in as many parts, in another order."""
    parts = one.chunk(len(order))
    return torch.cat([parts[i] for i in order])


def _output(one: Tensor, *, channels: int, said: int, patch: int, is_turned: bool) -> Tensor:
    """Rows (p q c) as (c p q), those of the data alone, and as velocities towards noise."""
    rows = rearrange(one, "(p q c) ... -> c (p q) ...", p=patch, q=patch, c=said)[:channels]
    return (-rows if is_turned else rows).flatten(0, 1)


def _turned(weight: Tensor, period: float) -> Tensor:
    """The columns of a layer that was told cos(w t) and sin(w t), for 1 - t."""
    by_cos, by_sin = weight.double().chunk(2, dim=1)
    half = by_cos.shape[1]
    w = period ** (-torch.arange(half, dtype=torch.float64) / half)
    turned = [by_cos * w.cos() + by_sin * w.sin(), by_cos * w.sin() - by_sin * w.cos()]
    return torch.cat(turned, dim=1).float()
