"""What a DiT or SiT in a file becomes of ours, layer by layer.

The published networks are told t in 0 .. 999, with cos(w t) and sin(w t). SiT is told 1 - t of the
time here, and says the velocity towards the data; with t' = t / 1000 the angle w (1 - t') turns
into w and w t' by the addition theorem, which the first layer can do:

    a cos(w - w t') + b sin(w - w t') = (a cos w + b sin w) cos w t' + (a sin w - b cos w) sin w t'
"""

from functools import partial
from typing import Any

import torch
from attrs import frozen
from einops import rearrange
from torch import Tensor

from diffx_backbones.embedding import MAX_PERIOD
from diffx_backbones.imports.dit_names import DIFFUSERS, EMBEDDERS, FIRST, Names
from diffx_backbones.imports.moves import Move, halved, layer, reordered, same
from diffx_core import CheckpointError, ForeignWeights

PERIOD_NOTE = (
    "noise features have the frequencies of diffusers, which are not quite those of the network as"
    " published; --backbone.noise_period 10000 takes the latter"
)
SIT_NOTE = "the second half of the output, which SiT does not use, is left out"


@frozen(kw_only=True)
class Found:
    """A DiT or SiT in a file.

    Args:
        foreign: the file.
        layout: of its names.
        names: of the layout.
        options: of `dit`.
        channels: of the data.
        said: channels of the output.
    """

    foreign: ForeignWeights
    layout: str
    names: Names
    options: dict[str, Any]
    channels: int
    said: int

    @property
    def is_sit(self) -> bool:
        """Whether it is told another time, and says velocities towards the data."""
        return self.layout == "sit"

    def moves(self) -> list[Move]:
        """Every tensor of ours by those of the file."""
        output = partial(
            _output,
            channels=self.channels,
            said=self.said,
            patch=self.options["patch"],
            is_turned=self.is_sit,
        )
        return [
            *layer("stem", self.names.stem, change=_flat),
            *_condition(self.names, self.options, is_sit=self.is_sit),
            *_blocks(self.names, self.options["depth"]),
            *layer("modulation", self.names.last[0], change=partial(reordered, order=(1, 0))),
            *layer("out", self.names.last[1], change=output),
        ]

    def spare(self) -> set[str]:
        """The tensors that say nothing new."""
        if self.layout != "diffusers":
            return {"pos_embed"}
        return _repeated(self.foreign, self.options["depth"])

    def notes(self) -> tuple[str, ...]:
        """What whoever imports it should know.

        Raises:
            CheckpointError: the output is of no number of channels that can be meant.
        """
        notes = halved(self.said, self.channels, self.foreign)
        if notes and self.is_sit:
            notes = (SIT_NOTE,)
        if self.layout == "diffusers" and "noise_period" not in self.foreign.options:
            notes += (PERIOD_NOTE,)
        return notes


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
    order = partial(reordered, order=(1, 0, 2, 4, 3, 5))
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
