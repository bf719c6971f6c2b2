"""From a request to train to the objects of a run, before anything is written to disk."""

from pathlib import Path
from typing import Any

import torch
from attrs import asdict, frozen
from torch import nn

from diffx_cli.line.request import Chosen, Request
from diffx_core.config.run import Run, SavedComponent, plain
from diffx_core.dataset import Dataset, spec_to_json
from diffx_core.denoiser import NetworkDenoiser
from diffx_core.engine.scale import as_seen
from diffx_core.engine.trainer import parameter_count
from diffx_core.errors import ConfigError
from diffx_core.noise import key
from diffx_core.prediction import prediction_named
from diffx_core.text import EncodedCaptions, TextEncoder


@frozen(eq=False)
class Assembly:
    """The objects of a run.

    Args:
        dataset: what is learned from.
        denoiser: what learns.
        record: how to build the same again.
    """

    dataset: Dataset
    denoiser: NetworkDenoiser
    record: Run

    @property
    def model(self) -> nn.Module:
        """The network."""
        assert isinstance(self.denoiser.backbone, nn.Module)
        return self.denoiser.backbone

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return parameter_count(self.model)

    @property
    def state_bytes(self) -> int:
        """Memory for weights and gradients, AdamW's two moments and the float32 average.

        Activations come on top; they grow with the batch.
        """
        weights = sum(p.numel() * p.element_size() for p in self.model.parameters())
        return 4 * weights + 4 * self.parameters


def assemble(request: Request) -> Assembly:
    """Build the components of a training run.

    Raises:
        ConfigError: they do not go together; the message names both and who is to blame.
    """
    seed: int = request.options.seed
    source, text = request.components["dataset"], request.components.get("text")
    dataset = dataset_of(source, text)
    scheduler = request.components["scheduler"].build()
    label = source.label if text is None else f"{source.label} with {text.label}"
    backbone = _backbone(request.components["backbone"], label, dataset, seed)
    objective = request.sections["objective"]
    prediction = prediction_named(objective.prediction)
    spec = as_seen(dataset, scheduler)
    record = Run(
        components={kind: _saved(chosen, dataset) for kind, chosen in request.components.items()},
        sections={name: plain(asdict(one)) for name, one in request.sections.items()},
        seed=seed,
        spec=spec_to_json(spec),
    )
    sigma_data = objective.sigma_data or spec.sigma_data
    denoiser = NetworkDenoiser(backbone, scheduler, prediction, sigma_data, objective.scale_input)
    return Assembly(dataset, denoiser, record)


def _saved(chosen: Chosen, dataset: Dataset) -> SavedComponent:
    """What to save about a component; of data, also what tells them from others."""
    if chosen.registered.kind == "text":
        return _saved_text(chosen)
    fingerprint = dataset.fingerprint if chosen.registered.kind == "dataset" else ""
    return SavedComponent.of(chosen.registered, chosen.options, fingerprint)


def _saved_text(chosen: Chosen) -> SavedComponent:
    """The encoder, with its files where they are found from any folder, and what they were."""
    here = {name: one.resolve() for name, one in chosen.options.items() if isinstance(one, Path)}
    encoder: TextEncoder = chosen.build()
    return SavedComponent.of(chosen.registered, {**chosen.options, **here}, encoder.fingerprint)


def dataset_of(source: Chosen, text: Chosen | None) -> Dataset:
    """The data, with tokens of their captions if they have any.

    Args:
        source: the dataset.
        text: the encoder, if one is named.

    Raises:
        ConfigError: there are captions that nothing reads, or none to be read.
    """
    dataset: Dataset = source.build()
    if text is None:
        if dataset.spec.captions:
            raise ConfigError(
                f"{source.label} has captions, and nothing reads them: name an encoder with --text,"
                " or leave them out"
            )
        return dataset
    try:
        return EncodedCaptions(dataset, text.build())
    except ConfigError as error:
        lines = (f"{text.label} cannot read {source.label}: {one}" for one in error.problems)
        raise ConfigError(*lines) from error


def _backbone(chosen: Chosen, source: str, dataset: Dataset, seed: int) -> Any:  # noqa: ANN401 - any nn.Module
    # The initial weights are a function of the seed, and torch's global generator is left alone.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key(seed, "init"))
        try:
            return chosen.build(dataset.spec)
        except ConfigError as error:
            reasons = (one.removeprefix(f"{chosen.label}: ") for one in error.problems)
            raise ConfigError(
                *(f"{chosen.label} cannot take {source}: {one}" for one in reasons)
            ) from error
