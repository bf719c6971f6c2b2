"""All that can be done with a trained run.

pipeline = Pipeline.load("runs/00000-vpsde-unet-digits")
images = pipeline.sample(16, sampler="unipc", nfe=20, label=3, seed=0)
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from attrs import evolve, frozen
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.errors import ConfigError
from diffx_core.likelihood import Likelihood, LogLikelihood
from diffx_core.noise import START, NoiseSource
from diffx_core.options import DEFAULT_SAMPLER
from diffx_core.options.checks import instance, is_number, seed_of
from diffx_core.pipeline.density import log_likelihood, within_cells
from diffx_core.pipeline.drawing import BATCH
from diffx_core.pipeline.latent import deterministic, plan_down, plan_from, plan_up, slerp
from diffx_core.pipeline.model import UNGUIDED, AnySampler, Guidance, Model
from diffx_core.pipeline.told import Labels, Prompts
from diffx_core.reached import require_finite, tensor
from diffx_core.sampler import Plan, Sampler
from diffx_core.sampling import plan_for

LIKELIHOOD = Likelihood()
ENCODER = "rk45"
"""The sampler that goes both ways if nobody says which: its error is known."""


@frozen(eq=False)
class Pipeline(Model):
    """A model, what is drawn from it, and the ways between data and noise."""

    def edit(
        self,
        x: Tensor,
        strength: float,
        *,
        sampler: AnySampler = DEFAULT_SAMPLER,
        nfe: int | None = None,
        steps: int | None = None,
        guidance: Guidance = UNGUIDED,
        label: Labels | None = None,
        prompt: Prompts | None = None,
        seed: int = 0,
    ) -> Tensor:
        """SDEdit: noise is added to x (n, *shape), and the model removes it in its own way.

        Args:
            x: data.
            strength: the noise as sigma / (alpha + sigma), the same for every process: 0 gives x
                back, 1 forgets it.
            sampler: the method; all of its steps are used for what is left of the way.
            nfe: how many times the network is called, exactly.
            steps: instead, how many steps are made.
            guidance: how hard the results are pushed towards their class.
            label: the class of all results, or of each of them.
            prompt: the text of all results, or of each of them.
            seed: of the noise.

        References:
            Meng et al., SDEdit, 2022, arXiv:2108.01073.
        """
        if not is_number(strength) or not 0 <= strength <= 1:
            raise ConfigError(f"strength must be from 0 to 1, got {strength!r}")
        x, method = self._examples(x), self.method(sampler, nfe=nfe, steps=steps)
        n = len(x)
        draw = partial(
            self.drawing,
            n,
            sampler=method,
            guidance=guidance,
            label=label,
            prompt=prompt,
            seed=seed,
        )
        if strength == 0:
            return x.clone()
        plan = plan_from(method, self.denoiser, strength)
        if plan.times[0] == self.denoiser.t_max:
            return draw().samples()
        z = self._begin(n, seed)
        return draw(plan=plan, start=plan.alpha[0] * x.to(z) + plan.sigma[0] * z).samples()

    def encode(
        self,
        x: Tensor,
        *,
        sampler: AnySampler = ENCODER,
        nfe: int | None = None,
        steps: int | None = None,
        label: Labels | None = None,
        prompt: Prompts | None = None,
    ) -> Tensor:
        """The noise (n, *shape) that the probability-flow ODE makes of x: x at the latest time.

        Args:
            x: (n, *shape) data.
            sampler: the method, which must draw no noise.
            nfe: how many times the network is called, exactly.
            steps: instead, how many steps are made.
            label: the class of all, or of each of them.
            prompt: the text of all, or of each of them.
        """
        method = deterministic(self.method(sampler, nfe=nfe, steps=steps))
        x, plan = self._examples(x), plan_up(method, self.denoiser)
        return self._along(plan, plan.alpha[0] * x, method, label, prompt)

    def decode(
        self,
        latent: Tensor,
        *,
        sampler: AnySampler = ENCODER,
        nfe: int | None = None,
        steps: int | None = None,
        label: Labels | None = None,
        prompt: Prompts | None = None,
    ) -> Tensor:
        """The data (n, *shape) that the probability-flow ODE makes of noise: the way of `encode`.

        Args:
            latent: (n, *shape) x at the latest time.
            sampler: the method, which must draw no noise.
            nfe: how many times the network is called, exactly.
            steps: instead, how many steps are made.
            label: the class of all, or of each of them.
            prompt: the text of all, or of each of them.
        """
        method = deterministic(self.method(sampler, nfe=nfe, steps=steps))
        plan = plan_down(method, self.denoiser)
        x = self._along(plan, latent, method, label, prompt) / plan.alpha[-1]
        return x if self.spec.value_range is None else x.clamp(*self.spec.value_range)

    def interpolate(
        self,
        n: int,
        *,
        between: Tensor | None = None,
        sampler: AnySampler = ENCODER,
        nfe: int | None = None,
        steps: int | None = None,
        label: int | None = None,
        prompt: str | None = None,
        seed: int = 0,
        last_seed: int | None = None,
    ) -> Tensor:
        """A way (n, *shape) from one sample to another, by slerp of their noises.

        Args:
            n: points, both ends among them.
            between: (2, *shape) data at the ends, which are encoded; None for the first two samples
                of the seed.
            sampler: the method, which must draw no noise.
            nfe: how many times the network is called on each way, exactly.
            steps: instead, how many steps are made.
            label: the class of all.
            prompt: the text of all.
            seed: of the noise.
            last_seed: whose first sample is the last of the way, instead of the second of `seed`.
        """
        method = deterministic(self.method(sampler, nfe=nfe, steps=steps))
        self.told(n, label, prompt)
        self._unanchored()
        share = torch.linspace(0, 1, n, dtype=self.dtype)
        if between is None:
            plan = plan_for(method, self.denoiser)
            first, last = self._begin(2, seed) * plan.prior_std()
            if last_seed is not None:
                (last,) = self._begin(1, last_seed) * plan.prior_std()
            start = slerp(first, last, share)
            draw = partial(self.drawing, n, sampler=method, plan=plan, start=start)
            return draw(label=label, prompt=prompt).samples()
        between = self._examples(between)
        if len(between) != 2:
            raise ConfigError(f"a way leads between 2 examples, got {len(between)}")
        first, last = self.encode(between, sampler=method, label=label, prompt=prompt)
        return self.decode(slerp(first, last, share), sampler=method, label=label, prompt=prompt)

    def log_likelihood(
        self,
        x: Tensor,
        *,
        method: Likelihood = LIKELIHOOD,
        label: Labels | None = None,
        prompt: Prompts | None = None,
        seed: int = 0,
        batch_size: int = BATCH,
        observe: Callable[[int], None] = lambda _: None,
    ) -> LogLikelihood:
        """The log-density of x (n, *shape) under the model, in nats.

        Args:
            x: data.
            method: how it is computed; it fixes the number of network calls.
            label: the class of all, or of each of them.
            prompt: the text of all, or of each of them.
            seed: of the signs of hutchinson; those of x[i] depend on the seed and on i alone.
            batch_size: examples at once.
            observe: is told how many are done, after each batch.
        """
        instance(Likelihood, "method", method)
        x = self._examples(x)
        cond = self.told(len(x), label, prompt)
        if self.denoiser.scheduler.grid() is not None:
            raise ConfigError(
                f"{type(self.denoiser.scheduler).__name__} is in discrete time: a log-likelihood "
                "needs a process that is known at any time"
            )
        noise = self._noise(len(x), seed).named("likelihood")
        return log_likelihood(method, self.denoiser, x, cond, noise, batch_size, observe)

    def bits_per_dim(
        self,
        x: Tensor,
        *,
        method: Likelihood = LIKELIHOOD,
        label: Labels | None = None,
        prompt: Prompts | None = None,
        seed: int = 0,
        batch_size: int = BATCH,
        observe: Callable[[int], None] = lambda _: None,
    ) -> Tensor:
        """The bits (n,) that a value of x takes at most; x as the dataset delivers it, in levels.

        Arguments as of `log_likelihood`; the seed is also that of the noise within cells.

        Raises:
            ConfigError: the data do not come in levels.
        """
        x = self._examples(x)
        moved, missing = within_cells(x, self.spec, self._noise(len(x), seed))
        found = self.log_likelihood(
            moved,
            method=method,
            label=label,
            prompt=prompt,
            seed=seed,
            batch_size=batch_size,
            observe=observe,
        )
        return found.bits_per_dim(missing)

    def _examples(self, x: object) -> Tensor:
        x = tensor("x", x)
        if tuple(x.shape[1:]) != self.spec.shape or not len(x):
            wanted = ", ".join(map(str, self.spec.shape))
            raise ConfigError(f"needs examples (n, {wanted}), got {tuple(x.shape)}")
        require_finite(x, "x")
        self._unanchored()
        return x

    def _unanchored(self) -> None:
        if self.denoiser.scheduler.anchor(Condition()) is not None:
            raise ConfigError(
                f"{type(self.denoiser.scheduler).__name__} is drawn to an anchor: it has no way "
                "between data and pure noise"
            )

    def _noise(self, n: int, seed: int) -> NoiseSource:
        return NoiseSource(seed_of(seed), range(n), device=self.device, dtype=self.dtype)

    def _begin(self, n: int, seed: int) -> Tensor:
        """What sampling begins with, at unit size."""
        return self.denoiser.scheduler.noise(self._noise(n, seed), self.spec.shape, START)

    def _along(
        self,
        plan: Plan,
        x: Tensor,
        method: Sampler[Any],
        label: Labels | None,
        prompt: Prompts | None,
    ) -> Tensor:
        """Where a plan leads from x."""
        x = self._examples(x)
        draw = partial(self.drawing, len(x), sampler=method, plan=plan, start=x)
        drawing = draw(label=label, prompt=prompt)
        return evolve(drawing, bounds=None).samples()
