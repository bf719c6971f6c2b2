"""What each sample is told: labels and prompts, checked against what the model knows."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import torch
from attrs import evolve

from diffx_core.dataset import NO_LABEL, Condition, DataSpec
from diffx_core.errors import ConfigError
from diffx_core.options.checks import index, whole
from diffx_core.text import TextEncoder, prompted

Labels: TypeAlias = int | Sequence[int] | torch.Tensor
"""The class of all samples, or of each of them."""
Prompts: TypeAlias = str | Sequence[str]
"""The text of all samples, or of each of them."""


def told(spec: DataSpec, n: int, labels: Labels | None = None) -> Condition:
    """The condition of n samples.

    Args:
        spec: the facts about the data.
        n: how many samples.
        labels: their classes.

    Raises:
        ConfigError: the model knows no such labels.
    """
    whole("n", n)
    wanted = None if labels is None else _listed(labels, n)
    classes = spec.num_classes
    if classes is None:
        if wanted is not None:
            raise ConfigError("the model was trained without labels: it takes none")
        return Condition()
    if wanted is None:
        return Condition(torch.full((n,), NO_LABEL))
    if len(wanted) != n:
        raise ConfigError(f"{len(wanted)} labels for {n} samples")
    outside = sorted({one for one in wanted if not 0 <= one < classes})
    if outside:
        raise ConfigError(f"no such label: {outside}; the model knows 0 to {classes - 1}")
    return Condition(torch.tensor(wanted))


def told_image(cond: Condition, spec: DataSpec, n: int, image: torch.Tensor | None) -> Condition:
    """The condition of n samples, with the image that each of them is told.

    Args:
        cond: what they are told besides.
        spec: the facts about the data.
        n: how many samples.
        image: (n, *shape) the images.

    Raises:
        ConfigError: the model reads images and there are none, or they have another shape.
    """
    if image is None:
        if spec.paired:
            raise ConfigError(
                f"the model reads an image beside each sample: give ({n}, *{spec.shape}) to drawing"
                " or sample (image=...)"
            )
        return cond
    if tuple(image.shape) != (n, *spec.shape):
        raise ConfigError(
            f"images beside samples are {tuple(image.shape)}, and have to be {(n, *spec.shape)}"
        )
    return evolve(cond, image=image)


def told_by_text(
    spec: DataSpec, n: int, text: TextEncoder | None, labels: Labels | None, prompts: Prompts | None
) -> Condition:
    """The condition of n samples, with texts.

    Args:
        spec: the facts about the data.
        n: how many samples.
        text: the encoder that the model was trained with.
        labels: their classes.
        prompts: their texts.

    Raises:
        ConfigError: the model knows no such labels, or reads no texts, or not such long ones.
    """
    cond = told(spec, n, labels)
    if prompts is None:
        return cond
    if spec.context is None:
        raise ConfigError("the model was trained without texts: it takes no prompt")
    if text is None:
        raise ConfigError("the model reads tokens, and nobody said which text encoder makes them")
    wanted = [prompts] * n if isinstance(prompts, str) else list(prompts)
    if len(wanted) != n:
        raise ConfigError(f"{len(wanted)} prompts for {n} samples")
    return prompted(cond, text, wanted)


def _listed(labels: Labels, n: int) -> list[int]:
    """The labels of n samples, if they are whole numbers."""
    given: object = labels.tolist() if isinstance(labels, torch.Tensor) else labels
    one = index(given)
    if one is not None:
        return [one] * n
    each = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else None
    found = [] if each is None else [index(label) for label in each]
    if each is None or None in found:
        raise ConfigError(
            f"label must be a whole number, or one for each of {n} samples, got {labels!r}"
        )
    return [label for label in found if label is not None]
