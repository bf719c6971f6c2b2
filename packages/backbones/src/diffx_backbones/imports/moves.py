"""Weights that move from the names and forms of others to ours, every one of them or none.

A move says which tensors of a file become which of ours, and how. What a network needs and no move
brings, what a file has and no move takes, and what comes in a wrong shape is said all at once.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn

from diffx_core import CheckpointError, ConfigError, DataSpec, ForeignWeights

Change = Callable[[Tensor], Tensor]
HALF_NOTE = (
    "the learned variances, the second half of the output, are left out: samplers here choose their"
    " own"
)
MOST_LINES = 12
"""Of a message about what does not fit."""


def same(tensor: Tensor) -> Tensor:
    """The tensor as it is."""
    return tensor


def reordered(one: Tensor, order: tuple[int, ...]) -> Tensor:
    """Rows in as many parts, in another order."""
    parts = one.chunk(len(order))
    return torch.cat([parts[i] for i in order])


@frozen
class Move:
    """One tensor of ours.

    Args:
        ours: its name here.
        theirs: the names of what it is made of, one below the other.
        change: what else is done to it.
    """

    ours: str
    theirs: tuple[str, ...]
    change: Change = same


def layer(ours: str, *theirs: str, change: Change = same) -> list[Move]:
    """The weight and the bias of a layer."""
    kinds = ("weight", "bias")
    return [Move(f"{ours}.{k}", tuple(f"{one}.{k}" for one in theirs), change) for k in kinds]


def carry(
    foreign: ForeignWeights,
    moves: Iterable[Move],
    expected: Mapping[str, torch.Size],
    spare: Collection[str] = (),
) -> dict[str, Tensor]:
    """Our weights, in float32.

    Args:
        foreign: the file.
        moves: one for each tensor of ours.
        expected: the shapes of ours by name.
        spare: what else the file may have: it says nothing new.

    Raises:
        CheckpointError: they do not fit; the message names the tensors.
    """
    carried: dict[str, Tensor] = {}
    problems: list[str] = []
    left, brought = set(foreign.tensors) - set(spare), set[str]()
    for move in moves:
        left.difference_update(move.theirs)
        brought.add(move.ours)
        try:
            carried |= _moved(foreign, move, expected)
        except CheckpointError as error:
            problems += error.problems
    problems += [f"{name} {_shapes(foreign, [name])} has no place here" for name in sorted(left)]
    problems += [f"nothing in it becomes {name}" for name in expected if name not in brought]
    if more := len(problems[MOST_LINES:]):
        problems = [*problems[:MOST_LINES], f"and {more} more like these"]
    if problems:
        raise CheckpointError(*(f"{foreign.path}: {one}" for one in problems))
    return carried


def _moved(
    foreign: ForeignWeights, move: Move, expected: Mapping[str, torch.Size]
) -> dict[str, Tensor]:
    """One tensor of ours by its name; nothing, if there is none of that name.

    Raises:
        CheckpointError: it does not fit; the problems are without the path.
    """
    there = foreign.tensors
    if absent := [name for name in move.theirs if name not in there]:
        raise CheckpointError(*(f"there is no {name}, which {move.ours} needs" for name in absent))
    if move.ours not in expected:
        return {}
    if unfit := [why for name in move.theirs if (why := _unfit(name, there[name]))]:
        raise CheckpointError(*unfit)
    shapes, wanted = _shapes(foreign, move.theirs), expected[move.ours]
    try:
        found = move.change(_stacked([there[name] for name in move.theirs]).float())
    except (RuntimeError, ValueError, IndexError) as error:
        raise CheckpointError(f"{move.theirs[0]} {shapes}: {error}") from error
    if found.shape != wanted:
        names = " + ".join(move.theirs)
        raise CheckpointError(f"{names} {shapes} does not fit {move.ours} {tuple(wanted)}")
    return {move.ours: found}


def _unfit(name: str, tensor: Tensor) -> str:
    """Why a tensor can be no weights, if so: those of quantised files are scaled elsewhere."""
    if not tensor.is_floating_point():
        return f"{name} is of {tensor.dtype}: only plain floats are taken, nothing quantised"
    return "" if tensor.isfinite().all() else f"{name} has numbers that are not finite"


def shapes_of(
    network: Callable[..., nn.Module], spec: DataSpec, options: Mapping[str, Any]
) -> dict[str, torch.Size]:
    """The shapes of a network's weights by name; nothing is allocated."""
    with torch.device("meta"):
        return {name: one.shape for name, one in network(spec, **options).state_dict().items()}


def shape_of(foreign: ForeignWeights, name: str, dimensions: int) -> torch.Size:
    """The shape of a tensor without which nothing can be said.

    Raises:
        CheckpointError: the file has none of that name, or one of another kind, or without numbers.
    """
    if name not in foreign.tensors:
        raise CheckpointError(f"{foreign.path}: there is no {name}")
    tensor = foreign.tensors[name]
    if tensor.ndim != dimensions or not tensor.numel():
        raise CheckpointError(
            f"{foreign.path}: {name} {tuple(tensor.shape)} should have {dimensions} dimensions, and"
            " none of them empty"
        )
    return tensor.shape


def count_of(foreign: ForeignWeights, prefix: str) -> int:
    """How many there are of what tensors `prefix.0. ...`, `prefix.1. ...` belong to.

    Raises:
        CheckpointError: they are not numbered 0, 1, 2, ... without a gap.
    """
    start = f"{prefix}."
    found = {
        name.removeprefix(start).split(".")[0] for name in foreign.tensors if name.startswith(start)
    }
    wrong = found - {str(i) for i in range(len(found))}
    if wrong:
        raise CheckpointError(
            f"{foreign.path}: {start}{min(wrong)} is in it, and its {len(found)} {prefix} should be"
            f" numbered 0 to {len(found) - 1}"
        )
    return len(found)


def is_size(value: object) -> bool:
    """Whether something of a config.json is a number of things."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def unknown(foreign: ForeignWeights, known: Collection[str]) -> list[str]:
    """A problem for each option of a config.json that is not known; those of `_` are no options."""
    return [
        f"{foreign.path}: config.json: {name} is {value!r:.40}, and what it means is not known here"
        for name, value in foreign.config.items()
        if name not in known and not name.startswith("_")
    ]


def agreed(foreign: ForeignWeights, found: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a file has, and those that were told and that it does not decide.

    Raises:
        ConfigError: something else was told than the file has.
    """
    wrong = [
        f"{name} is {found[name]} in {foreign.path}, not {told}"
        for name, told in foreign.options.items()
        if name in found and found[name] != told
    ]
    if wrong:
        raise ConfigError(*wrong)
    return {**foreign.options, **found}


def halved(rows: int, channels: int, foreign: ForeignWeights) -> tuple[str, ...]:
    """What to say of an output with so many channels; nothing if there are as many as in the data.

    Raises:
        CheckpointError: it has neither as many as the data nor twice as many.
    """
    if rows == channels:
        return ()
    if rows != 2 * channels:
        raise CheckpointError(f"{foreign.path}: says {rows} channels of data with {channels}")
    return (HALF_NOTE,)


def image_shape(foreign: ForeignWeights, channels: int, side: int | None) -> tuple[int, ...]:
    """The shape of the data, as it was told, or else square images of a side.

    Raises:
        ConfigError: neither is known, or what was told are no images of so many channels.
    """
    if foreign.shape is None:
        if side is None:
            raise ConfigError(f"{foreign.path}: does not say the size of images: give --shape")
        return (channels, side, side)
    if len(foreign.shape) != 3 or foreign.shape[0] != channels:
        raise ConfigError(
            f"{foreign.path}: is of images of {channels} channels, not {foreign.shape}"
        )
    return foreign.shape


def data_spec(shape: tuple[int, ...], num_classes: int | None) -> DataSpec:
    """The facts about data of which no more is known: pixels if there are 1 or 3 channels."""
    if shape[0] in (1, 3):
        return DataSpec(shape, num_classes, value_range=(-1.0, 1.0), levels=256)
    return DataSpec(shape, num_classes)


def _stacked(tensors: list[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)


def _shapes(foreign: ForeignWeights, names: Iterable[str]) -> str:
    return " + ".join(str(tuple(foreign.tensors[name].shape)) for name in names)
