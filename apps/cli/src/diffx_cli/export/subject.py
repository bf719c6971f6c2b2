"""What is exported: the network of a run with its averaged weights, on the CPU."""

from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn

from diffx_core.config.run import Run
from diffx_core.dataset import Condition, DataSpec
from diffx_core.denoiser import NetworkDenoiser
from diffx_core.pipeline.loading import build, read
from diffx_core.plugins import Registry


@frozen(eq=False)
class Subject:
    """A network, and what has to be known to use it.

    Args:
        path: of the run or checkpoint.
        step: after how many steps.
        run: how it was made.
        spec: the facts about its data.
        denoiser: the network with its process and its prediction.
    """

    path: Path
    step: int
    run: Run
    spec: DataSpec
    denoiser: NetworkDenoiser

    @classmethod
    def load(cls, path: Path, registry: Registry) -> "Subject":
        """The network of a run.

        Raises:
            CheckpointError: there is none, or it is damaged.
            PluginError: a component of it is not installed.
        """
        saved = read(path)
        denoiser = build(saved, registry, torch.device("cpu"))
        return cls(path, saved.checkpoint.step, saved.run, saved.spec, denoiser)

    @property
    def network(self) -> nn.Module:
        """The network, which does not train."""
        network = self.denoiser.backbone
        assert isinstance(network, nn.Module)
        return network

    @property
    def label(self) -> str:
        """The network for messages, with who is to blame."""
        return f"backbone {self.run.components['backbone'].label}"

    def weights(self) -> dict[str, Tensor]:
        """The averaged weights by name."""
        return self.network.state_dict()

    def facts(self) -> dict[str, Any]:
        """What a user of the file has to know, as plain JSON types."""
        return {
            "run": str(self.path),
            "step": self.step,
            "parameters": sum(one.numel() for one in self.network.parameters()),
            "sigma_data": self.denoiser.sigma_data,
            "scale_input": self.denoiser.scale_input,
            "prediction": self.run.sections["objective"]["prediction"],
            "record": self.run.to_json(),
        }

    def inputs(self, count: int) -> dict[str, Tensor]:
        """Random inputs for so many examples, of everything that the network can be told."""
        random = torch.Generator().manual_seed(count)
        spec = self.spec
        made = {
            "x": torch.randn(count, *spec.shape, generator=random),
            "noise_label": 1000 * torch.rand(count, generator=random),
        }
        if spec.num_classes is not None:
            made["label"] = torch.randint(spec.num_classes, (count,), generator=random)
        if spec.context is not None:
            tokens = 4 + count  # any number will do
            made["context"] = torch.randn(count, tokens, spec.context, generator=random)
            made["mask"] = torch.rand(count, tokens, generator=random) < 0.7
        if spec.paired:
            made["image"] = torch.randn(count, *spec.shape, generator=random)
        return made

    @torch.no_grad()
    def says(self, inputs: dict[str, Tensor]) -> Tensor:
        """What the network says of inputs."""
        told = dict(inputs)
        x, noise_label = told.pop("x"), told.pop("noise_label")
        said: Tensor = self.network(x, noise_label, Condition(**told))
        return said
