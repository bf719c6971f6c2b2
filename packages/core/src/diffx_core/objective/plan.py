"""An objective at work on one process: the density of times, and the weight of every error."""

from collections.abc import Callable
from functools import cached_property
from typing import Self

import torch
from attrs import frozen
from torch import Tensor

from diffx_core.errors import ConfigError
from diffx_core.objective.densities import base_density, check_levels, histogram_over
from diffx_core.objective.ends import Ends
from diffx_core.objective.grid import OnGrid
from diffx_core.objective.histogram import Histogram, Reweighted
from diffx_core.objective.loss import LOSSES
from diffx_core.objective.times import TimeDensity
from diffx_core.objective.weighting import WEIGHTINGS, NoiseLevel
from diffx_core.options import ABSOLUTE, DEFAULTS, PARAMETERS, ObjectiveOptions, PredictionName
from diffx_core.prediction import PREDICTIONS, Level
from diffx_core.scheduler import Scheduler

LARGEST_WEIGHT = 1e9
"""On the square of the output's error; that of sound processes at their ends is far below."""


@frozen(eq=False)
class Plan:
    """What the options mean for one process and one prediction.

    Args:
        options: resolved.
        scheduler: the process.
        sigma_data: root mean square of the data.
        base: the density of times that the expected loss is about.
        histogram: over the quantiles of the base, if the times follow the losses.
    """

    options: ObjectiveOptions
    scheduler: Scheduler
    sigma_data: float
    base: TimeDensity
    histogram: Histogram | None

    @classmethod
    def of(
        cls,
        options: ObjectiveOptions,
        scheduler: Scheduler,
        sigma_data: float,
        prediction: PredictionName,
    ) -> Self:
        """The plan for a process.

        Raises:
            ConfigError: the options do not suit the process, or nobody knows the prediction.
        """
        if prediction not in DEFAULTS:
            raise ConfigError(
                f"unknown prediction {prediction!r}: choose from {', '.join(DEFAULTS)}"
            )
        check_levels(scheduler, options)
        full = options.resolved(prediction)
        assert full.times != "auto"
        base = base_density(scheduler, full, sigma_data)
        histogram = histogram_over(full.times, scheduler, base)
        plan = cls(full, scheduler, sigma_data, base, histogram)
        plan.check_bounds()
        return plan

    def check_bounds(self) -> None:
        """Refuse a weight that grows without bound at a time that is drawn again and again.

        At a time that has no probability of its own, a weight may be infinite and its integral
        finite; in discrete time, one example would have all of it.
        """
        if isinstance(self.base, OnGrid):
            level = Level(self.scheduler, self.base.grid, self.sigma_data)
            ends, prediction = Ends(level), PREDICTIONS[self.options.prediction]
            weight = self.measure(ends) * self.weight(ends) * ends.gain(prediction.target(level))
            if float(weight.max()) > LARGEST_WEIGHT:
                raise ConfigError(
                    f"the weighting {self.options.weighting} has no bound for the prediction "
                    f"{prediction.name} at t = {level.t[weight.argmax()]:g}, which is one of the "
                    "times of training: choose another of the two"
                )

    def check_integral(self) -> None:
        """Refuse a weighting whose loss is infinite for any network that is not exact."""
        first = torch.tensor(self.scheduler.t_min, dtype=torch.float64)
        if self.options.weighting == "likelihood" and float(self.scheduler.sigma(first)) == 0:
            raise ConfigError(
                f"the bound of the likelihood is infinite for {type(self.scheduler).__name__}, "
                "which begins without noise: choose the weighting sigmoid, or a process that "
                "begins with some, as vpsde, vesde, edm and logsnr with a log_snr_max do"
            )

    def fits(self, scheduler: Scheduler, sigma_data: float, prediction: PredictionName) -> bool:
        """Whether it is about this process, these data and this prediction."""
        same = self.scheduler == scheduler and self.sigma_data == sigma_data
        return same and self.options.prediction == prediction

    @property
    def has_learned(self) -> bool:
        """Whether the times have begun to follow the losses."""
        return self.histogram is not None and self.histogram.has_learned

    @property
    def density(self) -> TimeDensity:
        """What times are drawn from."""
        return self.base if self.histogram is None else Reweighted(self.base, self.histogram)

    @property
    def is_absolute(self) -> bool:
        """Whether the weighting says what counts in the bound of the likelihood."""
        return self.options.weighting in ABSOLUTE

    @cached_property
    def criterion(self) -> Callable[[Tensor], Tensor]:
        """From residuals (B, *) to losses (B,)."""
        loss, parameters = LOSSES[self.options.loss], self._parameters("loss")
        return lambda residual: loss(residual, **parameters)

    def declared(self, ends: Ends) -> Tensor:
        """The weighting as it was declared: w, or W if it is absolute."""
        assert self.options.weighting != "auto"
        weighting = WEIGHTINGS[self.options.weighting]
        level = NoiseLevel(ends.log_snr, self.sigma_data)
        return weighting(level, **self._parameters("weighting"))

    def weight(self, ends: Ends) -> Tensor:
        """The weight, within the loss, on the errors of both ends together."""
        declared = self.declared(ends)
        return declared * ends.log_snr.sigmoid() / 2 if self.is_absolute else declared

    def measure(self, ends: Ends) -> Tensor:
        """What multiplies the loss, so that its mean over the base is the right integral.

        An absolute weighting integrates over the log-SNR: dlambda / dv = (-lambda') / p.
        """
        if not self.is_absolute:
            return torch.ones_like(ends.log_snr)
        return ends.fall / self.base.log_prob(ends.level.t).exp()

    def effective_weight(self, t: Tensor) -> Tensor:
        """W(lambda) of loss = 1/2 integral of W(lambda) |deps|^2, at the log-SNRs of times (B,).

        For a relative weighting, 2 w_eps p(lambda) with the density p of the base. (Weighting,
        process, times) decide what is learned through W alone.
        """
        ends = Ends(Level(self.scheduler, t.to("cpu", torch.float64), self.sigma_data))
        if self.is_absolute:
            return self.declared(ends)
        on_eps = self.declared(ends) / ends.log_snr.sigmoid()
        return 2 * on_eps * self.base.log_prob(ends.level.t).exp() / ends.fall

    def _parameters(self, kind: str) -> dict[str, float]:
        used = PARAMETERS.get(f"{kind}={getattr(self.options, kind)}", {})
        return {name: getattr(self.options, name) for name in used}
