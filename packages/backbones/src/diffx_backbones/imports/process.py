"""The process that a pipeline of diffusers was trained with, from its scheduler_config.json."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from diffx_core import ConfigError, ForeignWeights

TABLES = {"linear": "linear", "scaled_linear": "scaled_linear", "squaredcos_cap_v2": "cosine"}
"""Our tables by the names of theirs."""
Said: TypeAlias = Literal["eps", "x0", "v"]
PREDICTIONS: dict[str, Said] = {
    "epsilon": "eps",
    "sample": "x0",
    "v_prediction": "v",
}
LEVELS = 1000
"""Networks there are told the number of a level, and here one out of 1000."""


class Process(NamedTuple):
    """What was trained with.

    Args:
        scheduler: its name here.
        options: of it.
        prediction: what the network says.
    """

    scheduler: str = "ddpm"
    options: Mapping[str, Any] = MappingProxyType({})
    prediction: Said = "eps"


def process_of(foreign: ForeignWeights) -> Process:
    """The process; the one of Ho et al. if nothing is said of it.

    Raises:
        ConfigError: it is another than `ddpm` can be, so that somebody has to say which.
    """
    told = foreign.process
    if not told:
        return Process()
    table, prediction = told.get("beta_schedule"), told.get("prediction_type", "epsilon")
    levels = told.get("num_train_timesteps", LEVELS)
    problems = [
        f"{name} {value!r}"
        for name, value, is_known in (
            ("beta_schedule", table, table in TABLES),
            ("prediction_type", prediction, prediction in PREDICTIONS),
            ("trained_betas", "...", told.get("trained_betas") is None),
            ("num_train_timesteps", levels, levels == LEVELS),
        )
        if not is_known
    ]
    if problems:
        raise ConfigError(
            f"{foreign.path}: was trained with {told.get('_class_name', 'a process')} of"
            f" {', '.join(problems)}, which is not known here: say the process with --scheduler"
        )
    ours = TABLES[str(table)]
    betas = {name: told[name] for name in ("beta_start", "beta_end") if name in told}
    options = {
        "table": ours,
        "zero_terminal_snr": bool(told.get("rescale_betas_zero_snr", False)),
        **({} if ours == "cosine" else betas),
    }
    return Process("ddpm", options, PREDICTIONS[prediction])
