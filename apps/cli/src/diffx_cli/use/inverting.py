"""Examples of a user as noise, and noise as examples, along the probability-flow ODE."""

from pathlib import Path
from typing import Any, Self

import torch
from attrs import evolve, frozen
from safetensors.torch import save_file
from torch import Tensor

from diffx_cli.line.request import Request
from diffx_cli.output.writing import writing
from diffx_cli.use.encoded import FACTS, LATENTS, NAME, Encoded
from diffx_cli.use.using import Told, Used, used
from diffx_cli.use.worked import Made, Work, alone, told_if_said, work, write_facts, written
from diffx_core.pipeline.latent import deterministic


@frozen(eq=False)
class Encoding:
    """Examples that are about to be encoded.

    Args:
        work: the model and the examples.
    """

    work: Work

    @classmethod
    def prepare(cls, request: Request) -> Self:
        """Load the run, read the examples, and check that the one can encode the others.

        Raises:
            ConfigError: the sampler, the process or the labels do not suit the run.
            DataError: an example is not such as the model's.
        """
        found = work(request)
        deterministic(found.model.method)
        found.model.pipeline.told(found.n, found.told.labels, found.told.prompts)
        return cls(found)

    def facts(self) -> dict[str, Any]:
        """What reproduces the latents, as plain JSON types."""
        return {**self.work.facts(), "error": None}

    def write(self) -> tuple[Path, dict[str, Any]]:
        """Encode and write; returns the file of latents, and what reproduces it."""
        model, x, told = self.work.model, self.work.given.x, self.work.told
        how: dict[str, Any] = {"sampler": model.method, "label": told.labels}
        how["prompt"] = told.prompts
        facts, label = self.facts(), model.request.components["sampler"].registered.name
        with model.place("encode", label, (FACTS, LATENTS)) as place:
            with model.blaming():
                latents = model.pipeline.encode(x, **how)
                if model.request.options.check:
                    facts["error"] = _error(model.pipeline.decode(latents, **how) - x)
            with writing(place.folder):
                write_facts(place, "encode", facts)
                save_file({NAME: latents.contiguous()}, place.partial / LATENTS)
                place.publish()
        return place.folder / LATENTS, facts


@frozen(eq=False)
class Decoding:
    """Latents that are about to be decoded.

    Args:
        model: the run.
        encoded: the latents, and what made them.
        told: what the model is told of them.
    """

    model: Used
    encoded: Encoded
    told: Told

    @classmethod
    def prepare(cls, request: Request) -> Self:
        """Read the latents, load the run, and check that the one can decode the others.

        Raises:
            ConfigError: the sampler, the process or the labels do not suit the run.
            CheckpointError: the latents were made by another model.
            DataError: they cannot be read, or are not such as the model's.
        """
        options = request.options
        encoded = Encoded.of(options.latents)
        if options.run is None and encoded.facts:
            request = evolve(request, options=evolve(options, run=encoded.run))
        model = alone(used(request, nfe=options.nfe), "decode")
        deterministic(model.method)
        encoded = encoded.read(model)
        told = told_if_said(model, len(encoded.x))
        if told == Told(None, None):
            told = encoded.told
        model.pipeline.told(len(encoded.x), told.labels, told.prompts)
        return cls(model, encoded, told)

    def facts(self) -> dict[str, Any]:
        """What reproduces the results, as plain JSON types."""
        return {
            **self.model.facts(),
            "latents": str(self.encoded.path),
            "labels": self.told.labels,
            "prompts": self.told.prompts,
        }

    def write(self) -> tuple[Path, dict[str, Any]]:
        """Decode and write; returns the file to look at, and what reproduces the results."""
        label = self.model.request.components["sampler"].registered.name
        return written(self.model, label, (), self.facts(), self._made)

    def _made(self) -> Made:
        return Made(
            self.model.pipeline.decode(
                self.encoded.x,
                sampler=self.model.method,
                label=self.told.labels,
                prompt=self.told.prompts,
            )
        )


def _error(off: Tensor) -> dict[str, float]:
    return {
        "rms": float(off.square().mean().sqrt()),
        "max": float(torch.linalg.vector_norm(off, torch.inf)),
    }
