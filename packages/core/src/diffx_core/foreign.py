"""Networks that were trained elsewhere: what their files hold, and what becomes of it here.

A backbone that knows how files of others name its weights says so by `ImportsWeights`; reading the
files, and making a run of what comes out, is the same for all.
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from attrs import field, frozen
from torch import Tensor

from diffx_core.dataset import DataSpec
from diffx_core.options import PredictionName


@frozen(eq=False, kw_only=True)
class ForeignWeights:
    """What a file holds, and what was told besides.

    Args:
        path: of the file or folder, for messages.
        tensors: by the names that they have there.
        config: what stands beside them in a file config.json; empty if there is none.
        process: what a pipeline of diffusers says of its process in scheduler_config.json; empty if
            there is none.
        layout: whose names these are, if that was told.
        shape: of one example, if that was told.
        num_classes: of the data, if that was told.
        options: of the backbone, as far as they were told.
    """

    path: str
    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any] = field(factory=dict)
    process: Mapping[str, Any] = field(factory=dict)
    layout: str | None = None
    shape: tuple[int, ...] | None = None
    num_classes: int | None = None
    options: Mapping[str, Any] = field(factory=dict)


@frozen(eq=False, kw_only=True)
class ImportedModel:
    """A network of ours and all that must be known to sample from it.

    Args:
        layout: whose names the file has.
        spec: of the data.
        options: of the backbone; those that are not named have their defaults.
        weights: by the names of the backbone, every one of them.
        scheduler: the process that such networks are trained with, unless somebody says another.
        scheduler_options: of that process; those that are not named have their defaults.
        prediction: what the network's output means.
        scale_input: whether it sees x at unit variance, rather than as it is, as networks of others
            do under any process.
        knows_nothing_told: whether it was trained to be told no class, too.
        notes: what happened to what has no place here.
    """

    layout: str
    spec: DataSpec
    options: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    scheduler: str
    prediction: PredictionName
    scheduler_options: Mapping[str, Any] = field(factory=dict)
    scale_input: bool = False
    knows_nothing_told: bool = False
    notes: tuple[str, ...] = ()


@runtime_checkable
class ImportsWeights(Protocol):
    """A class of networks that takes weights from elsewhere."""

    @classmethod
    def import_weights(cls, foreign: ForeignWeights) -> ImportedModel:
        """The network of the class that computes what the file's network does.

        Raises:
            ConfigError: something has to be told besides, or was told and is not so.
            CheckpointError: the file is of another network; the message says where.
        """
        ...


@frozen(eq=False, kw_only=True)
class ExportedModel:
    """A network of ours as diffusers would save it.

    Args:
        name: of the class there.
        config: its config.json.
        weights: by their names there.
        notes: what whoever uses it should know.
    """

    name: str
    config: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    notes: tuple[str, ...] = ()


@runtime_checkable
class ExportsWeights(Protocol):
    """A class of networks that has a twin in diffusers."""

    @classmethod
    def export_weights(
        cls, spec: DataSpec, options: Mapping[str, Any], weights: Mapping[str, Tensor]
    ) -> ExportedModel:
        """The twin, which computes the same.

        Args:
            spec: of the data.
            options: of the network, all of them.
            weights: by their names here.

        Raises:
            ConfigError: a network with these options has none.
        """
        ...
