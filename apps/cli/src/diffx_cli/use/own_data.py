"""Examples of the data that a run was made with: those that it trained on, or kept from that."""

from typing import Literal

import torch
from attrs import field, frozen
from torch import Tensor

from diffx_cli.line.console import counted
from diffx_cli.use.using import Used
from diffx_core.config.run import SavedComponent
from diffx_core.dataset import NO_LABEL, Dataset
from diffx_core.engine.order import divided
from diffx_core.errors import ConfigError, DataError
from diffx_core.noise import generator
from diffx_core.options import ValidateOptions

Split = Literal["all", "held-out"]
BATCH = 256
"""Examples that are read at once."""


@frozen(eq=False)
class Own:
    """Examples of a run's own data.

    Args:
        index: (n,) their positions in the dataset, rising.
        x: (n, *shape) them.
        labels: (n,) their classes, or None if the data have none.
        split: of what they are.
    """

    index: Tensor = field(repr=False)
    x: Tensor = field(repr=False)
    labels: list[int] | None = field(repr=False)
    split: Split

    @classmethod
    def of(cls, model: Used, n: int | None, split: Split | None, seed: int, most: int) -> "Own":
        """Some examples, chosen at random, each as the dataset has it.

        Args:
            model: the run.
            n: how many; None for `most`, or as many as there are.
            split: all that there are, or those that the run kept from training; if nobody says, the
                latter if there are any.
            seed: of the choice.
            most: see there.

        Raises:
            ConfigError: there are not as many, or the run kept none.
            DataError: the data are gone, or are others than those that it was made with.
        """
        dataset, _ = data_of(model, ": name examples with --images")
        validate = model.run.section("validate", ValidateOptions)
        kept = validate.examples if validate.every else 0
        if split == "held-out" and not kept:
            raise ConfigError(
                f"--split: {model.source} kept no examples from training; --validate.every of"
                " diffx train does"
            )
        split = split or ("held-out" if kept else "all")
        index = torch.arange(len(dataset))
        if split == "held-out":
            index = divided(len(dataset), model.run.seed, kept)[1]
        n = min(most, len(index)) if n is None else n
        if n > len(index):
            have = counted(len(index), "example")
            raise ConfigError(f"--n: the data have {have} ({split}), not {n}")
        order = torch.randperm(len(index), generator=generator(seed, "own data"))
        index = index[order[:n].sort().values]
        batches = [dataset.batch(part) for part in index.split(BATCH)]
        labels = [one.cond.label for one in batches if one.cond.label is not None]
        return cls(
            index,
            torch.cat([one.x.cpu() for one in batches]),
            torch.cat(labels).tolist() if labels else None,
            split,
        )

    @property
    def told(self) -> list[int]:
        """The classes, if every example has one.

        Raises:
            ConfigError: there are none, or some have none.
        """
        if self.labels is None or NO_LABEL in self.labels:
            raise ConfigError("--own-labels: the data have no labels, or not all of them have")
        return self.labels


def data_of(model: Used, instead: str = "") -> tuple[Dataset, SavedComponent]:
    """The data that a run was made with, found again, and what its configuration says of them.

    Args:
        model: the run.
        instead: what to do where there are none.

    Raises:
        DataError: there were none, or they are gone, or are others than those.
    """
    saved = model.run.components.get("dataset")
    if saved is None:
        raise DataError(f"{model.source}: was made without data{instead}")
    dataset: Dataset = model.run.build("dataset", model.request.registry)
    if dataset.fingerprint != saved.fingerprint or dataset.spec.shape != model.pipeline.spec.shape:
        raise DataError(
            f"dataset {saved.label}: its files are not those that {model.source} was made with"
        )
    return dataset, saved
