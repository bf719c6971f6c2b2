"""How the weights are averaged over the steps of training."""

from typing import Any, Literal, Self, get_args

from attrs import Attribute, evolve, field, frozen
from attrs.validators import ge, le, lt

from diffx_core.errors import ConfigError
from diffx_core.options.checks import given

EmaKind = Literal["exponential", "power", "none"]

EMA_PARAMETERS: dict[EmaKind, dict[str, Any]] = {
    "exponential": {"decay": 0.999, "every": 1, "start": 0},
    "power": {"every": 1, "sigma_rel": (0.05, 0.10), "snapshot_every": 1000},
    "none": {},
}
"""The options that each kind uses, with what they are if nobody says."""

NARROWEST, WIDEST = 0.005, 0.28
"""Widths of power averages in units of the training so far: that of all steps alike is 0.289."""


def is_width(value: float) -> bool:
    """Whether a power average can have such a width."""
    return NARROWEST <= value <= WIDEST


def width(_: object, attribute: "Attribute[Any]", value: float) -> None:
    """A validator: a width that a power average can have."""
    if not is_width(value):
        raise ValueError(f"'{attribute.name}' must be from {NARROWEST} to {WIDEST}")


def widths(_: object, attribute: "Attribute[Any]", value: tuple[float, ...] | None) -> None:
    """A validator: some different widths that power averages can have, or nothing."""
    if value is None:
        return
    if not value or len(set(value)) < len(value):
        raise ValueError(f"'{attribute.name}' must be one or more different widths")
    for one in value:
        width(_, attribute, one)


@frozen(kw_only=True)
class EmaOptions:
    """The moving average of the weights, which is what samples are drawn from.

    An option that the chosen kind does not use is refused, not ignored.

    Args:
        kind: exponential forgets at a constant rate; power keeps averages whose length grows with
            the training, of which `diffx ema` makes one of any length afterwards.
        decay: share of the exponential average that a step keeps, once it has warmed up (0.999).
        every: steps between two updates of an average (1).
        start: steps after which the exponential average begins (0).
        sigma_rel: widths of the power averages, in units of the training so far; samples are drawn
            from the first (0.05, 0.1).
        snapshot_every: steps between two snapshots of the power averages (1000).
    """

    kind: EmaKind = "exponential"
    decay: float | None = field(default=None, validator=given(ge(0), lt(1)))
    every: int | None = field(default=None, validator=given(ge(1), le(1_000_000)))
    start: int | None = field(default=None, validator=given(ge(0)))
    sigma_rel: tuple[float, ...] | None = field(default=None, validator=widths)
    snapshot_every: int | None = field(default=None, validator=given(ge(1)))

    def __attrs_post_init__(self) -> None:
        if self.kind not in EMA_PARAMETERS:
            raise ConfigError(
                f"unknown kind {self.kind!r}: choose from {', '.join(get_args(EmaKind))}"
            )
        unused = [
            name
            for name in ("decay", "every", "start", "sigma_rel", "snapshot_every")
            if name not in EMA_PARAMETERS[self.kind] and getattr(self, name) is not None
        ]
        if unused:
            raise ConfigError(*map(self._refusal, unused))

    def resolved(self) -> Self:
        """The same options, with a value for every one that the kind uses."""
        left_out = {
            name: value
            for name, value in EMA_PARAMETERS[self.kind].items()
            if getattr(self, name) is None
        }
        return evolve(self, **left_out)

    def _refusal(self, name: str) -> str:
        users = [f"kind={kind}" for kind, used in EMA_PARAMETERS.items() if name in used]
        return (
            f"{name} is {getattr(self, name)}, but kind={self.kind} does not use it: only "
            f"{', '.join(users)} {'does' if len(users) == 1 else 'do'}"
        )
