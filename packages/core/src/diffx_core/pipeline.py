"""A trained run, loaded: everything that people do with a model begins here.

pipeline = Pipeline.load(Path("runs/00000-vpsde-unet-digits"), Registry.load())
images = pipeline.sample(16, sampler=DDIM(steps=30), labels=[3] * 16, seed=0)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from attrs import frozen
from torch import Tensor, nn

from diffx_core.config.run import Run
from diffx_core.contract import require
from diffx_core.dataset import NO_LABEL, Condition, DataSpec
from diffx_core.denoiser import Denoiser, NetworkDenoiser
from diffx_core.engine.checkpoint import Checkpoint, load_checkpoint
from diffx_core.errors import CheckpointError, ConfigError
from diffx_core.guidance import ClassifierFreeGuidance
from diffx_core.noise import NoiseSource
from diffx_core.options import GuidanceOptions, ObjectiveOptions
from diffx_core.plugins import Registry
from diffx_core.prediction import prediction_named
from diffx_core.sampler import Sampler
from diffx_core.sampling import sample

UNGUIDED = GuidanceOptions()


@frozen(eq=False)
class Pipeline:
    """A trained model and the facts about its data.

    Args:
        denoiser: the model, with the averaged weights.
        spec: the facts.
        run: how it was made.
        step: after how many steps.
    """

    denoiser: Denoiser
    spec: DataSpec
    run: Run
    step: int
    device: torch.device

    @classmethod
    def load(
        cls,
        path: Path,
        registry: Registry,
        *,
        device: torch.device | None = None,
        sampler: Sampler[Any] | None = None,
    ) -> Self:
        """Load a run or one of its checkpoints.

        Args:
            path: the run folder, or the folder of a checkpoint.
            registry: where to find the components.
            device: where to put the model; the CPU if None.
            sampler: if given, refused before the network is built if it cannot work.
        """
        checkpoint = load_checkpoint(path)
        run = Run.from_json(checkpoint.record)
        if run.spec is None:
            raise CheckpointError(f"{checkpoint.path}: the record has no facts about the data")
        spec = DataSpec(**run.spec)
        scheduler = run.build("scheduler", registry)
        if sampler is not None:
            require(sampler, scheduler)
        device = device or torch.device("cpu")
        backbone = load_weights(run.build("backbone", registry, spec), checkpoint).to(device).eval()
        objective = run.section("objective", ObjectiveOptions)
        prediction = prediction_named(objective.prediction)
        sigma_data = objective.sigma_data or spec.sigma_data
        denoiser = NetworkDenoiser(backbone, scheduler, prediction, sigma_data)
        return cls(denoiser, spec, run, checkpoint.step, device)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        sampler: Sampler[Any],
        labels: Sequence[int] | None = None,
        guidance: GuidanceOptions = UNGUIDED,
        seed: int = 0,
        batch_size: int = 256,
    ) -> Tensor:
        """Draw n samples (n, *shape); the noise of sample i depends on the seed and on i alone.

        Args:
            n: how many.
            sampler: the method.
            labels: the class of each sample; None for none.
            guidance: how hard samples are pushed towards their class.
            seed: of the noise.
            batch_size: samples drawn at once.
        """
        cond = self._condition(n, labels, guidance)
        denoiser: Denoiser = ClassifierFreeGuidance(self.denoiser, guidance.scale)
        parts = []
        for first in range(0, n, batch_size):
            indices = range(first, min(first + batch_size, n))
            part = None if cond.label is None else cond.label[first : indices.stop]
            x = sample(
                sampler,
                denoiser,
                self.spec.shape,
                noise=NoiseSource(seed, indices, device=self.device),
                cond=Condition(part).to(self.device),
            )
            parts.append(x.cpu())
        samples = torch.cat(parts)
        return samples.clamp(*self.spec.value_range) if self.spec.value_range else samples

    def _condition(
        self, n: int, labels: Sequence[int] | None, guidance: GuidanceOptions
    ) -> Condition:
        classes = self.spec.num_classes
        if n < 1:
            raise ConfigError(f"n must be at least 1, got {n}")
        if classes is None:
            if labels is not None:
                raise ConfigError("the model was trained without labels: it takes none")
            if guidance.scale != 1:
                raise ConfigError("the model was trained without labels: there is nothing to guide")
            return Condition()
        if guidance.scale != 1 and labels is None:
            raise ConfigError("guidance pushes towards a label, and none was given")
        if (
            guidance.scale != 1
            and not self.run.section("objective", ObjectiveOptions).label_dropout
        ):
            raise ConfigError(
                "the model was trained with label_dropout 0, so it has nothing to guide away from"
            )
        if labels is None:
            return Condition(torch.full((n,), NO_LABEL))
        if len(labels) != n:
            raise ConfigError(f"{len(labels)} labels for {n} samples")
        outside = sorted({label for label in labels if not 0 <= label < classes})
        if outside:
            raise ConfigError(f"no such label: {outside}; the model knows 0 to {classes - 1}")
        return Condition(torch.tensor(labels))


def load_weights(backbone: nn.Module, checkpoint: Checkpoint) -> nn.Module:
    """The network with the averaged weights of a checkpoint, every key and shape of them."""
    try:
        backbone.load_state_dict(checkpoint.ema)
    except RuntimeError as error:
        reasons = [line.strip() for line in str(error).splitlines()[1:4]]
        raise CheckpointError(
            f"{checkpoint.path}: the weights do not fit the backbone: {' '.join(reasons)}"
        ) from error
    return backbone
