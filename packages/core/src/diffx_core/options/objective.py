"""What the network learns to say, and which errors count how much."""

from typing import Any, Literal, Self, get_args

from attrs import evolve, field, frozen
from attrs.validators import and_, ge, gt, le, lt

from diffx_core.errors import ConfigError
from diffx_core.options.checks import given

PredictionName = Literal["eps", "x0", "v", "flow", "score", "edm"]
WeightingName = Literal[
    "uniform",
    "snr",
    "truncated_snr",
    "min_snr",
    "p2",
    "edm",
    "flow",
    "likelihood",
    "sigmoid",
]
BaseTimesName = Literal["uniform", "logit_normal", "log_normal_sigma", "mode", "discrete"]
TimesName = Literal[BaseTimesName, "importance", "adaptive"]
LossName = Literal["l2", "l1", "huber"]


@frozen(kw_only=True)
class Default:
    """The objective that a prediction was found to learn well with.

    Args:
        weighting: how much each noise level counts.
        times: how often each noise level is seen.
        reference: who found it.
    """

    weighting: WeightingName
    times: TimesName
    reference: str


DEFAULTS: dict[PredictionName, Default] = {
    "eps": Default(
        weighting="uniform",
        times="uniform",
        reference="Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv:2006.11239",
    ),
    "x0": Default(
        weighting="min_snr",
        times="uniform",
        reference="Hang et al., Min-SNR Weighting Strategy, 2023, arXiv:2303.09556",
    ),
    "v": Default(
        weighting="snr",
        times="uniform",
        reference="Salimans & Ho, Progressive Distillation, 2022, arXiv:2202.00512",
    ),
    "flow": Default(
        weighting="flow",
        times="logit_normal",
        reference="Esser et al., Scaling Rectified Flow Transformers, 2024, arXiv:2403.03206",
    ),
    "score": Default(
        weighting="uniform",
        times="uniform",
        reference="Song et al., Score-Based Generative Modeling, 2021, arXiv:2011.13456",
    ),
    "edm": Default(
        weighting="edm",
        times="log_normal_sigma",
        reference="Karras et al., Elucidating the Design Space, 2022, arXiv:2206.00364",
    ),
}
"""What `auto` means for each prediction."""

ABSOLUTE: frozenset[WeightingName] = frozenset({"likelihood", "sigmoid"})
"""Weightings that say what counts in the bound of the log-likelihood, whatever the times."""

PARAMETERS: dict[str, dict[str, float | int | str]] = {
    "weighting=min_snr": {"gamma": 5.0},
    "weighting=p2": {"gamma": 1.0},
    "weighting=sigmoid": {"bias": 2.0},
    "times=logit_normal": {"times_mean": 0.0, "times_std": 1.0},
    "times=log_normal_sigma": {"times_mean": -1.2, "times_std": 1.2},
    "times=mode": {"times_scale": 1.29},
    "times=discrete": {"times_levels": 1000},
    "times=importance": {"times_base": "uniform"},
    "times=adaptive": {"times_base": "uniform"},
    "loss=huber": {"huber_scale": 0.00054},
}
"""The options that only some choices use, with what they are if nobody says."""


@frozen(kw_only=True)
class ObjectiveOptions:
    """What the network learns to say, and which errors count how much.

    An option that the chosen weighting, times and loss do not use is refused, not ignored.

    Args:
        prediction: what the network's output means; edm is well conditioned for every process.
        weighting: how much each noise level counts; auto is what suits the prediction.
        gamma: where min_snr (5) cuts off the SNR, or the exponent of p2 (1).
        bias: log-SNR below which sigmoid counts in full (2).
        times: how often each noise level is seen; auto is what suits the prediction, and uniform
            for likelihood and sigmoid.
        times_mean: mean of logit_normal (0), or of log_normal_sigma (-1.2), which is log(sigma /
            alpha) for data of sigma_data 0.5 and moves along with other data.
        times_std: standard deviation of logit_normal (1) or of log_normal_sigma (1.2).
        times_scale: how far mode bends the times towards the middle (1.29).
        times_levels: how many noise levels discrete has (1000), where the process has none.
        times_base: the times whose loss importance and adaptive estimate with less noise (uniform).
        low_discrepancy: spread the times of a batch evenly over what they are drawn from.
        loss: how errors count: their square, their absolute value, or in between.
        huber_scale: size at which errors begin to count linearly, in units of the target (0.00054).
        uncertainty: learn how large the loss is at each noise level, and level it out.
        sigma_data: root mean square of the data; measured from the dataset if none.
        scale_input: show the network its input at unit variance; networks that were trained
            elsewhere to say velocities see it as it is.
        label_dropout: share of labels and contexts hidden in training, so that guidance works.
    """

    prediction: PredictionName = "edm"
    weighting: Literal["auto", WeightingName] = "auto"
    gamma: float | None = field(default=None, validator=given(gt(0), le(100)))
    bias: float | None = field(default=None, validator=given(ge(-100), le(100)))
    times: Literal["auto", TimesName] = "auto"
    times_mean: float | None = field(default=None, validator=given(ge(-50), le(50)))
    times_std: float | None = field(default=None, validator=given(gt(0), le(50)))
    times_scale: float | None = field(default=None, validator=given(ge(-1), le(1.75)))
    times_levels: int | None = field(default=None, validator=given(ge(1), le(1_000_000)))
    times_base: BaseTimesName | None = None
    low_discrepancy: bool = True
    loss: LossName = "l2"
    huber_scale: float | None = field(default=None, validator=given(gt(0), le(1e6)))
    uncertainty: bool = False
    sigma_data: float | None = field(default=None, validator=given(ge(1e-6), le(1e6)))
    scale_input: bool = True
    label_dropout: float = field(default=0.1, validator=and_(ge(0), lt(1)))

    def __attrs_post_init__(self) -> None:
        unknown = [
            f"unknown {name} {value!r}: choose from {', '.join(filter(None, choices))}"
            for name, value, choices in self._chosen()
            if value not in choices
        ]
        if unknown:
            raise ConfigError(*unknown)
        used = self._used(self.prediction)
        unused = [name for name in PARAMETER_NAMES - {*used} if getattr(self, name) is not None]
        if unused:
            raise ConfigError(*(self._refusal(name) for name in sorted(unused)))

    def resolved(self, prediction: PredictionName | None = None) -> Self:
        """The same options in full: no "auto", and a number for every parameter in use.

        Args:
            prediction: whose defaults "auto" means; the options' own if None.
        """
        prediction = prediction or self.prediction
        left_out = {
            name: value
            for name, value in self._used(prediction).items()
            if getattr(self, name) is None
        }
        changes: dict[str, Any] = {"prediction": prediction, **self._names(prediction), **left_out}
        return evolve(self, **changes)

    def _chosen(self) -> list[tuple[str, str | None, tuple[str | None, ...]]]:
        return [
            ("prediction", self.prediction, get_args(PredictionName)),
            ("weighting", self.weighting, ("auto", *get_args(WeightingName))),
            ("times", self.times, ("auto", *get_args(TimesName))),
            ("times_base", self.times_base, (*get_args(BaseTimesName), None)),
            ("loss", self.loss, get_args(LossName)),
        ]

    def _names(self, prediction: PredictionName) -> dict[str, str]:
        default = DEFAULTS[prediction]
        weighting = default.weighting if self.weighting == "auto" else self.weighting
        # What suits a prediction looks at some levels only; a bound counts every one of them.
        times = "uniform" if weighting in ABSOLUTE else default.times
        return {"weighting": weighting, "times": times if self.times == "auto" else self.times}

    def _used(self, prediction: PredictionName) -> dict[str, float | int | str]:
        names = {**self._names(prediction), "loss": self.loss}
        used: dict[str, float | int | str] = {}
        for kind, name in names.items():
            used.update(PARAMETERS.get(f"{kind}={name}", {}))
        base = self.times_base or used.get("times_base")
        return {**used, **(PARAMETERS.get(f"times={base}", {}) if "times_base" in used else {})}

    def _refusal(self, name: str) -> str:
        users = [choice for choice, used in PARAMETERS.items() if name in used]
        kind = users[0].partition("=")[0]
        chosen = {**self._names(self.prediction), "loss": self.loss}[kind]
        return (
            f"{name} is {getattr(self, name)}, but {kind}={chosen} does not use it: only "
            f"{', '.join(users)} {'does' if len(users) == 1 else 'do'}"
        )


PARAMETER_NAMES = frozenset(name for used in PARAMETERS.values() for name in used)
