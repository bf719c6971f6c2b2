"""Files of latents: safetensors shards, memory-mapped, and what standardises them.

A shard has latents (n, C, H, W) and, if there are any, labels (n,) and mirrored (n, C, H, W). Its
header says which part of how many it is, so that a missing one is noticed, and how many classes
there are, of which some may have no example.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from attrs import evolve, field, frozen
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from diffx_core import DataError

NAME = "latents-{:05d}.safetensors"
CLASSES = "num_classes"
"""Where the header of a file says how many classes there are."""
DIGITS = 10
"""Fewer than these has a number of classes."""
CHUNK = 1024
"""Latents that are looked at together."""


@frozen(kw_only=True, eq=False)
class Shard:
    """Some of the latents.

    Args:
        path: of the file.
        latents: (n, C, H, W), of any floating type.
        label: (n,) int64, or None.
        mirrored: (n, C, H, W) the latents of the mirrored images, or None.
        num_classes: how many classes the labels are of; None if that is not known.
    """

    path: Path
    latents: Tensor = field(repr=False)
    label: Tensor | None = field(default=None, repr=False)
    mirrored: Tensor | None = field(default=None, repr=False)
    num_classes: int | None = None

    @property
    def form(self) -> str:
        """What all shards have to have in common."""
        shape = "x".join(map(str, self.latents.shape[1:]))
        label = "with" if self.label is not None else "without"
        if self.num_classes is not None:
            label += f" {self.num_classes} kinds of"
        mirrored = "with" if self.mirrored is not None else "without"
        return f"latents of {shape} {label} labels, {mirrored} mirrored ones"

    def to(self, device: torch.device | str) -> "Shard":
        """The same shard on a device."""
        moved: dict[str, Any] = {k: one.to(device) for k, one in self.tensors().items()}
        return evolve(self, **moved)

    def tensors(self) -> dict[str, Tensor]:
        """What there is, by name."""
        there = {"latents": self.latents, "label": self.label, "mirrored": self.mirrored}
        return {name: one for name, one in there.items() if one is not None}

    def rows(self, index: Tensor, flipped: Tensor | None) -> Tensor:
        """Latents (B, C, H, W) in float32 by position, of mirrored images where `flipped` is."""
        rows = self.latents.index_select(0, index).float()
        if flipped is None or self.mirrored is None:
            return rows
        others = self.mirrored.index_select(0, index).float()
        return torch.where(flipped[:, None, None, None], others, rows)


def write_shard(folder: Path, shard: Shard, number: int, count: int) -> None:
    """Write the part `number` of `count`, whole or not at all."""
    path = folder / NAME.format(number)
    partial = path.with_suffix(".partial")
    tensors = {name: one.contiguous() for name, one in shard.tensors().items()}
    header = {"part": str(number), "of": str(count)}
    if shard.num_classes is not None:
        header[CLASSES] = str(shard.num_classes)
    save_file(tensors, partial, header)
    partial.rename(path)


def read_shards(root: Path) -> list[Shard]:
    """The shards of a folder, mapped into memory.

    Raises:
        DataError: there are none, one is missing or damaged, or they do not belong together.
    """
    paths = sorted(root.glob("latents*.safetensors"))
    if not paths:
        raise DataError(
            f"latents: there is no latents*.safetensors in {root}; diffx encode-latents makes them"
        )
    shards = [_read(path, len(paths)) for path in paths]
    for one in shards:
        if one.form != shards[0].form:
            raise DataError(
                f"latents: {one.path} has {one.form}, and {shards[0].path.name} {shards[0].form}"
            )
    return shards


def _read(path: Path, count: int) -> Shard:
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    except (OSError, SafetensorError) as error:
        raise DataError(f"latents: {path} cannot be read ({error}); encode it again") from error
    said, classes = header.get("of", str(count)), header.get(CLASSES)
    if said != str(count):
        raise DataError(f"latents: {path.parent} has {count} of {said} shards; encode them again")
    wrong = _problem(tensors) or _problem_of_classes(tensors.get("label"), classes)
    if wrong:
        raise DataError(f"latents: {path} {wrong}")
    return Shard(path=path, **tensors, num_classes=None if classes is None else int(classes))


def _problem_of_classes(label: Tensor | None, said: str | None) -> str:
    """What is wrong with the number of classes that a header says; nothing, if it says none."""
    if said is None:
        return ""
    if not (said.isdecimal() and said.isascii() and len(said) < DIGITS):
        return f"says in its header that there are {said[:40]!r} classes, which is no number"
    if label is None:
        return f"says in its header that there are {said} classes, and has no labels"
    highest = int(label.max())
    return f"has the label {highest} of {said} classes" if highest >= int(said) else ""


def _problem(tensors: dict[str, Tensor]) -> str:
    """What is wrong with the tensors of a file; nothing, if it is a shard."""
    latents = tensors.get("latents")
    if latents is None or set(tensors) - {"latents", "label", "mirrored"}:
        return f"has {', '.join(sorted(tensors)) or 'nothing'}; not latents, label and mirrored"
    if latents.ndim != 4 or not len(latents) or not latents.is_floating_point():
        return f"has latents {latents.dtype} {tuple(latents.shape)}; not floats (n, C, H, W)"
    label, mirrored = tensors.get("label"), tensors.get("mirrored")
    if mirrored is not None and mirrored.shape != latents.shape:
        return f"has {tuple(mirrored.shape)} mirrored ones of {tuple(latents.shape)}"
    if label is None:
        return ""
    if label.shape != latents.shape[:1] or label.dtype != torch.int64:
        return f"has labels {label.dtype} {tuple(label.shape)} of {len(latents)} latents"
    return "has labels below 0" if label.min() < 0 else ""


@frozen(kw_only=True)
class Standard:
    """What makes latents of unit variance.

    Args:
        mean: of each channel.
        std: of each channel, 1 where all values are the same.
        rms: root mean square of the standardised values.
    """

    mean: Sequence[float]
    std: Sequence[float]
    rms: float

    def applied_(self, latents: Tensor) -> Tensor:
        """(z - mean) / std, in place."""
        return latents.sub_(self._shaped(self.mean, latents)).div_(self._shaped(self.std, latents))

    def undone(self, x: Tensor) -> Tensor:
        """The latents z of standardised ones."""
        return x * self._shaped(self.std, x) + self._shaped(self.mean, x)

    def _shaped(self, values: Sequence[float], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None, None]


def measured(shards: Sequence[Shard]) -> Standard:
    """The moments of all latents, in float64.

    Raises:
        DataError: some are not finite, or all are the same.
    """
    first = shards[0].latents
    total = torch.zeros(2, first.shape[1], dtype=torch.float64)
    for shard in shards:
        for part in shard.latents.split(CHUNK):
            z = part.double()
            if not z.isfinite().all():
                raise DataError(f"latents: {shard.path} has values that are not finite")
            total += torch.stack([z.sum((0, 2, 3)), z.square().sum((0, 2, 3))])
    count = sum(len(shard.latents) for shard in shards) * first[0, 0].numel()
    mean, square = total / count
    variance = (square - mean**2).clamp_min(0)
    std = torch.where(variance > 0, variance.sqrt(), 1.0)
    rms = (variance / std**2).mean().sqrt().item()
    if not rms:
        raise DataError(f"latents: all in {shards[0].path.parent} are the same")
    return Standard(mean=mean.tolist(), std=std.tolist(), rms=rms)
