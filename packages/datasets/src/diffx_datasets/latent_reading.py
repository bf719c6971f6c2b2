"""Shards of latents, read and looked at: whatever is wrong with one is told with its path."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from diffx_core import DataError
from diffx_datasets.captions import one_line
from diffx_datasets.decoding import UnreadableError
from diffx_datasets.latent_shards import CAPTIONS, CLASSES, Shard

DIGITS = 10
"""Fewer than these has a number of classes."""


def read_shards(root: Path, *, captions: bool = False) -> list[Shard]:
    """The shards of a folder, mapped into memory.

    Args:
        root: the folder.
        captions: whether the texts are wanted; else they are not looked at.

    Raises:
        DataError: there are none, one is missing or damaged, or they do not belong together.
    """
    paths = sorted(root.glob("latents*.safetensors"))
    if not paths:
        raise DataError(
            f"latents: there is no latents*.safetensors in {root}; diffx encode-latents makes them"
        )
    parts: dict[int, Path] = {}
    shards = [_read(path, len(paths), parts, captions=captions) for path in paths]
    for one in shards:
        if one.form != shards[0].form:
            raise DataError(
                f"latents: {one.path} has {one.form}, and {shards[0].path.name} {shards[0].form}"
            )
    return shards


def _read(path: Path, count: int, parts: dict[int, Path], *, captions: bool) -> Shard:
    """One of `count` shards, which is noted among the parts that were read."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    except (OSError, SafetensorError) as error:
        raise DataError(f"latents: {path} cannot be read ({error}); encode it again") from error
    said, classes = header.get("of", str(count)), header.get(CLASSES)
    if said != str(count):
        raise DataError(f"latents: {path.parent} has {count} of {said} shards; encode them again")
    _note_part(parts, path, header.get("part"), count)
    texts = tensors.pop(CAPTIONS, None)
    wrong = _problem(tensors) or _problem_of_classes(tensors.get("label"), classes)
    if wrong:
        raise DataError(f"latents: {path} {wrong}")
    return Shard(
        path=path,
        **tensors,
        num_classes=None if classes is None else int(classes),
        captions=_texts(path, texts, len(tensors["latents"])) if captions else None,
    )


def _note_part(parts: dict[int, Path], path: Path, said: str | None, count: int) -> None:
    """Refuse a part that was read already, in place of which another one is missing."""
    if said is None:
        return
    if said not in map(str, range(count)):
        raise DataError(
            f"latents: {path} says that it is part {said[:40]!r}, not one of 0 to {count - 1};"
            " encode them again"
        )
    other = parts.setdefault(int(said), path)
    if other != path:
        raise DataError(
            f"latents: {path} and {other.name} are both part {said} of {count}, so that another"
            " part is missing; encode them again"
        )


def _texts(path: Path, found: Tensor | None, count: int) -> list[str]:
    """The texts of a shard.

    Raises:
        DataError: there are none, or not one for each latent.
    """
    if found is None:
        raise DataError(
            f"latents: {path} has no texts about the images; encode them again from a dataset with"
            " captions, or leave out --dataset.captions"
        )
    try:
        texts = json.loads(bytes(found.numpy())) if found.dtype == torch.uint8 else None
    except (ValueError, RecursionError):
        texts = None
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise DataError(
            f"latents: {path} has {CAPTIONS} that are not the bytes of a JSON list of texts"
        )
    if len(texts) != count:
        raise DataError(f"latents: {path} has {len(texts)} texts about {count} images")
    return [_text(path, number, one) for number, one in enumerate(texts)]


def _text(path: Path, number: int, text: str) -> str:
    try:
        return one_line(text)
    except UnreadableError as error:
        raise DataError(f"latents: {path}: number {number} {error}; encode it again") from error


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
        names = ", ".join(sorted(tensors)) or "nothing"
        return f"has {names}; not latents, label, mirrored and captions"
    if latents.ndim != 4 or not latents.numel() or not latents.is_floating_point():
        shape = tuple(latents.shape)
        return f"has latents {latents.dtype} {shape}; not floats (n, C, H, W), none of them 0"
    label, mirrored = tensors.get("label"), tensors.get("mirrored")
    if mirrored is not None and mirrored.shape != latents.shape:
        return f"has {tuple(mirrored.shape)} mirrored ones of {tuple(latents.shape)}"
    if label is None:
        return ""
    if label.shape != latents.shape[:1] or label.dtype != torch.int64:
        return f"has labels {label.dtype} {tuple(label.shape)} of {len(latents)} latents"
    return "has labels below 0" if label.min() < 0 else ""
