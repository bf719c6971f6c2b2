"""How samples are drawn and pushed if nobody says anything else."""

from pathlib import Path
from typing import Literal, get_args

from attrs import field, frozen
from attrs.validators import ge, gt, le, lt

from diffx_core.errors import ConfigError
from diffx_core.options.checks import as_path, given, number, one_of, pair

DEFAULT_SAMPLER = "unipc"
"""The component that samples if nobody says which."""

RuleName = Literal["plain", "rescale", "plusplus", "projected"]

SCALE = number(ge(0), le(100))
MIX = number(ge(0), le(1))
MOMENTUM = number(gt(-1), lt(1))
NORM = number(gt(0))
"""What the numbers of rules may be: MIX is the scale of plusplus, phi and parallel."""

RULE_PARAMETERS: dict[RuleName, dict[str, float]] = {
    "plain": {},
    "rescale": {"phi": 0.7},
    "plusplus": {},
    "projected": {"momentum": -0.5, "norm": 1.0, "parallel": 0.0},
}
"""The options that only some rules use, with what they are if nobody says."""


@frozen(kw_only=True)
class GuidanceOptions:
    """How hard samples are pushed towards their condition, and away from what.

    An option that would change nothing is refused, not ignored.

    Args:
        scale: 1 samples the conditional model, 0 the unconditional one, more than 1 exaggerates the
            condition.
        rule: what is made of the two estimates: plain extrapolation, rescale to the contrast of the
            conditional one, plusplus (CFG++, scale up to 1), projected (APG).
        interval: noise ratios sigma / alpha between which guidance acts, as LOW,HIGH; everywhere if
            none.
        against: run or checkpoint of a worse model to guide away from (autoguidance), instead of
            what the model says without a label.
        phi: share of the contrast that rescale restores (0.7).
        momentum: of the difference in projected; below zero pushes away from where it was (-0.5).
        norm: root mean square that a difference may have in projected (1).
        parallel: what projected keeps of the difference along the estimate (0).
    """

    scale: float = field(default=1.0, validator=SCALE)
    rule: RuleName = field(default="plain", validator=one_of(get_args(RuleName)))
    interval: tuple[float, float] | None = field(default=None, validator=pair)
    against: Path | None = field(default=None, converter=as_path)
    phi: float | None = field(default=None, validator=given(MIX))
    momentum: float | None = field(default=None, validator=given(MOMENTUM))
    norm: float | None = field(default=None, validator=given(NORM))
    parallel: float | None = field(default=None, validator=given(MIX))

    def __attrs_post_init__(self) -> None:
        problems = [
            f"{name} is {getattr(self, name):g}, but the rule {self.rule} does not use it: only "
            f"{rule} does"
            for rule, used in RULE_PARAMETERS.items()
            for name in used
            if rule != self.rule and getattr(self, name) is not None
        ]
        if self.interval is not None and not 0 <= self.interval[0] < self.interval[1]:
            low, high = self.interval
            problems.append(f"interval needs 0 <= low < high, got {low:g},{high:g}")
        if self.rule == "plusplus" and self.scale > 1:
            problems.append(f"the rule plusplus takes a scale of at most 1, got {self.scale:g}")
        wanted = [name for name in ("interval", "against") if getattr(self, name) is not None]
        if not self.active and (wanted or self.rule != "plain"):
            named = f"rule {self.rule}" if self.rule != "plain" else wanted[0]
            problems.append(f"{named} changes nothing at scale 1: say how hard to guide with scale")
        if problems:
            raise ConfigError(*problems)

    @property
    def active(self) -> bool:
        """Whether there is anything to do."""
        return self.scale != 1 or self.rule == "plusplus"

    @property
    def parameters(self) -> dict[str, float]:
        """The options that the rule uses, with a number for each."""
        filled = {name: getattr(self, name) for name in RULE_PARAMETERS[self.rule]}
        return {
            name: RULE_PARAMETERS[self.rule][name] if value is None else value
            for name, value in filled.items()
        }
