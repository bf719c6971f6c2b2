"""A trained run, loaded: its model, and samples of it."""

from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Self

import torch
from attrs import evolve, field, frozen
from torch import Tensor

from diffx_core.config.run import Run
from diffx_core.contract import agree
from diffx_core.dataset import Condition, DataSpec
from diffx_core.denoiser import Denoiser
from diffx_core.errors import ConfigError
from diffx_core.options import DEFAULT_SAMPLER, GuidanceOptions, ObjectiveOptions
from diffx_core.options.checks import instance, seed_of, whole
from diffx_core.pipeline.drawing import BATCH, Drawing
from diffx_core.pipeline.guiding import Guiding, Wrapper, guided, require_guidable
from diffx_core.pipeline.loading import build, build_text, build_weak, precisions, read
from diffx_core.pipeline.told import Labels, Prompts, told_by_text, told_image
from diffx_core.plugins import Registry
from diffx_core.sampler import Plan, Sampler
from diffx_core.sampling import plan_for
from diffx_core.scheduler import Scheduler
from diffx_core.swap import SwappedProcess, require_swap
from diffx_core.text import TextEncoder

UNGUIDED = GuidanceOptions()

AnySampler = Sampler[Any] | str
Guidance = GuidanceOptions | Wrapper


@frozen(eq=False)
class Model:
    """A model and the facts about its data.

    A sampler is an object or the name of a component. Guidance is options or any function from
    denoiser to denoiser, such as the classes of `diffx_core.guidance` and combinations of them.

    Args:
        denoiser: the model, with the averaged weights.
        spec: the facts.
        run: how it was made, if it was loaded.
        step: after how many steps.
        device: where the model is.
        dtype: of noise and samples.
        registry: where names of samplers are looked up; what is installed if None.
        text: what makes tokens of prompts, if the model reads texts.
    """

    denoiser: Denoiser
    spec: DataSpec
    run: Run | None = None
    step: int = 0
    device: torch.device = field(factory=lambda: torch.device("cpu"), kw_only=True)
    dtype: torch.dtype = field(default=torch.float32, kw_only=True)
    registry: Registry | None = field(default=None, kw_only=True, repr=False)
    text: TextEncoder | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        known = precisions(self.denoiser)
        if known and self.dtype not in known:
            made_of = " and ".join(sorted(map(str, known)))
            raise ConfigError(
                f"the network is of {made_of} and dtype is {self.dtype}: leave that out, or "
                f"convert the network first, with .to({self.dtype})"
            )

    @classmethod
    def load(
        cls,
        path: Path | str,
        registry: Registry | None = None,
        *,
        device: torch.device | None = None,
        sampler: Sampler[Any] | None = None,
        scheduler: Scheduler | None = None,
        text_root: Path | None = None,
    ) -> Self:
        """Load a run or one of its checkpoints.

        Args:
            path: the run folder, or the folder of a checkpoint.
            registry: where to find the components; what is installed if None.
            device: where to put the model; the CPU if None.
            sampler: if given, refused before the network is built if it cannot work.
            scheduler: a process to sample under instead of the model's own, see `under`.
            text_root: where the files of the text encoder are now, if they have moved.
        """
        if not isinstance(path, str | PathLike):
            raise ConfigError(f"path must be the folder of a run or checkpoint, got {path!r}")
        for kind, name, one in ((Sampler, "sampler", sampler), (Scheduler, "scheduler", scheduler)):
            if one is not None:
                instance(kind, name, one)
        saved = read(Path(path))
        device, registry = device or torch.device("cpu"), registry or Registry.load()
        text = build_text(saved.run, registry, device, text_root)
        denoiser = build(saved, registry, device, sampler=sampler, scheduler=scheduler)
        step = saved.checkpoint.step
        loaded = cls(
            denoiser,
            saved.spec,
            saved.run,
            step,
            device=device,
            registry=registry,
            text=text,
        )
        return loaded if scheduler is None else loaded.under(scheduler)

    def under(self, scheduler: Scheduler) -> Self:
        """The same model under another process: exactly the same estimates at equal noise ratios.

        Raises:
            ConfigError: their noise has different laws, or one ends with too little noise.
        """
        instance(Scheduler, "scheduler", scheduler)
        require_swap(self.denoiser.scheduler, scheduler, self.spec.sigma_data)
        return evolve(self, denoiser=SwappedProcess(self.denoiser, scheduler))

    def method(
        self, sampler: AnySampler, *, nfe: int | None = None, steps: int | None = None
    ) -> Sampler[Any]:
        """A sampler, by its name if it has one, with a number of network calls or of steps.

        Raises:
            ConfigError: there is no such sampler, or it cannot make so many calls or steps.
        """
        if nfe is not None and steps is not None:
            raise ConfigError("nfe and steps exclude each other: give one of them")
        one: Sampler[Any] = (
            self._registry.find("sampler", sampler).load()()
            if isinstance(sampler, str)
            else instance(Sampler, "sampler", sampler)
        )
        try:
            if steps is not None:
                return evolve(one, steps=whole("steps", steps))
            return one if nfe is None else one.with_nfe(whole("nfe", nfe))
        except ValueError as error:  # that of attrs, too
            raise ConfigError(f"the sampler {type(one).__name__}: {error}") from error

    def drawing(
        self,
        n: int,
        *,
        sampler: AnySampler = DEFAULT_SAMPLER,
        nfe: int | None = None,
        steps: int | None = None,
        guidance: Guidance = UNGUIDED,
        label: Labels | None = None,
        prompt: Prompts | None = None,
        image: Tensor | None = None,
        seed: int = 0,
        plan: Plan | None = None,
        start: Tensor | None = None,
    ) -> Drawing:
        """What `sample` does, checked and ready; its `states` can be watched or ended at any time.

        Args:
            n: how many samples.
            sampler: the method.
            nfe: how many times the network is called, exactly.
            steps: instead, how many steps are made.
            guidance: how hard samples are pushed towards their class, or any other wrapper.
            label: the class of all samples, or of each of them; None for none.
            prompt: the text of all samples, or of each of them; None for none.
            image: (n, *shape) what each sample belongs to, for a model that was trained on pairs.
            seed: of the noise.
            plan: the times to go through instead of the sampler's own.
            start: (n, *shape) x at the first time, instead of noise.

        Raises:
            ConfigError: it cannot be done; nothing has been computed yet.
        """
        n, seed = whole("n", n), seed_of(seed)
        method = self.method(sampler, nfe=nfe, steps=steps)
        cond = self.told(n, label, prompt, image)
        agree(method, self.denoiser.scheduler)
        is_told = label is not None or prompt is not None
        denoiser = guided(self._wrapper(guidance, is_told=is_told), self.denoiser)
        return Drawing(
            denoiser=denoiser,
            sampler=method,
            shape=self.spec.shape,
            cond=cond,
            n=n,
            seed=seed,
            device=self.device,
            dtype=self.dtype,
            bounds=self.spec.value_range,
            plan=plan_for(method, denoiser) if plan is None else plan,
            start=start,
        )

    def sample(
        self,
        n: int,
        *,
        sampler: AnySampler = DEFAULT_SAMPLER,
        nfe: int | None = None,
        steps: int | None = None,
        guidance: Guidance = UNGUIDED,
        label: Labels | None = None,
        prompt: Prompts | None = None,
        image: Tensor | None = None,
        seed: int = 0,
        batch_size: int = BATCH,
    ) -> Tensor:
        """Draw n samples (n, *shape); the noise of sample i depends on the seed and on i alone.

        Args as of `drawing`, and batch_size: samples drawn at once.
        """
        how = partial(self.drawing, sampler=sampler, nfe=nfe, steps=steps, guidance=guidance)
        return how(n, label=label, prompt=prompt, image=image, seed=seed).samples(batch_size)

    def told(
        self,
        n: int,
        label: Labels | None = None,
        prompt: Prompts | None = None,
        image: Tensor | None = None,
    ) -> Condition:
        """What n samples are told.

        Args:
            n: how many.
            label: the class of all, or of each of them; None for none.
            prompt: the text of all, or of each of them; None for none.
            image: (n, *shape) what each of them belongs to; None for none.

        Raises:
            ConfigError: the model knows no such labels, or reads no texts, or not such long ones,
                or reads images and there are none.
        """
        cond = told_by_text(self.spec, n, self.text, label, prompt)
        return told_image(cond, self.spec, n, image)

    @property
    def _registry(self) -> Registry:
        return self.registry or Registry.load()

    def _wrapper(self, guidance: Guidance, *, is_told: bool) -> Wrapper:
        """Guidance as a function, if the model can be guided so."""
        if not isinstance(guidance, GuidanceOptions):
            if not callable(guidance):
                raise ConfigError(
                    "guidance must be GuidanceOptions or a function from denoiser to denoiser, got "
                    f"{guidance!r}"
                )
            return guidance
        dropout = None
        if self.run is not None:
            dropout = self.run.section("objective", ObjectiveOptions).label_dropout
        require_guidable(guidance, self.spec, is_told=is_told, dropout=dropout)
        if guidance.against is None:
            return Guiding(guidance)
        process = self.denoiser.scheduler
        itself = None if self.run is None else (self.run, self.step)
        weak = build_weak(guidance.against, self._registry, self.device, self.spec, process, itself)
        return Guiding(guidance, weak)
