"""From options of guidance to a wrapper of denoisers; what the model does not know is refused."""

from collections.abc import Callable
from inspect import signature
from typing import TypeAlias, cast

from attrs import frozen

from diffx_core.dataset import DataSpec
from diffx_core.denoiser import Denoiser
from diffx_core.errors import ConfigError
from diffx_core.guidance import (
    Autoguidance,
    ClassifierFreeGuidance,
    Extrapolation,
    PlusPlus,
    Projected,
    Rescaled,
)
from diffx_core.guidance.contrast import EVERYWHERE
from diffx_core.guidance.rules import Rule
from diffx_core.options import GuidanceOptions, RuleName
from diffx_core.options.checks import instance

Wrapper: TypeAlias = Callable[[Denoiser], Denoiser]
"""Makes a denoiser of a denoiser: one of the classes of `diffx_core.guidance`, or several."""

RULES: dict[RuleName, Callable[..., Rule]] = {
    "plain": Extrapolation,
    "rescale": Rescaled,
    "plusplus": PlusPlus,
    "projected": Projected,
}


@frozen(eq=False)
class Guiding:
    """The wrapper that options stand for.

    Args:
        options: what to do.
        weak: the model to guide away from; if None, the same model told nothing.
    """

    options: GuidanceOptions
    weak: Denoiser | None = None

    def __call__(self, denoiser: Denoiser) -> Denoiser:
        """The guided denoiser."""
        if not self.options.active:
            return denoiser
        rule = RULES[self.options.rule](self.options.scale, **self.options.parameters)
        interval = self.options.interval or EVERYWHERE
        if self.weak is None:
            return ClassifierFreeGuidance(denoiser, rule, interval)
        return Autoguidance(denoiser, rule, interval, weak=self.weak)


def guided(wrapper: Wrapper, denoiser: Denoiser) -> Denoiser:
    """What a wrapper makes of a denoiser.

    Raises:
        ConfigError: it needs more than that, or makes something else.
    """
    name = getattr(wrapper, "__name__", type(wrapper).__name__)
    try:
        signature(wrapper).bind(denoiser)
    except TypeError as error:
        raise ConfigError(
            f"guidance {name} cannot be made of a denoiser alone, {error}: give a function, such "
            f"as lambda denoiser: {name}(denoiser, ...)"
        ) from None
    return cast("Denoiser", instance(Denoiser, f"what guidance {name} returns", wrapper(denoiser)))


def require_guidable(
    options: GuidanceOptions, spec: DataSpec, *, is_told: bool, dropout: float | None
) -> None:
    """Refuse guidance that a model does not know.

    Args:
        options: the guidance.
        spec: the facts about the data.
        is_told: whether samples are told a label or a text.
        dropout: share of labels and texts that were hidden in training; None if that is not known.

    Raises:
        ConfigError: there is nothing to guide towards, or to guide away from.
    """
    if not options.active or options.against is not None:
        return
    known = [("label", spec.num_classes), ("prompt", spec.context)]
    towards = " or a ".join(name for name, one in known if one is not None)
    if not towards:
        raise ConfigError(
            "the model was trained without labels: there is nothing to guide, but against another "
            "model"
        )
    if not is_told:
        raise ConfigError(f"guidance pushes towards a {towards}, and none was given")
    if dropout == 0:
        raise ConfigError(
            "the model was trained with label_dropout 0, so it has nothing to guide away from"
        )
