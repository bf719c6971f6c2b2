"""The objectives that predictions are trained with by default, as text and as plain types."""

from typing import Any, get_args

from diffx_cli.line.help import option_lines
from diffx_cli.line.layout import columns
from diffx_core.config import nearest, options_of, show
from diffx_core.errors import ConfigError
from diffx_core.options import DEFAULTS, PARAMETERS, ObjectiveOptions, PredictionName

MEANINGS: dict[PredictionName, str] = {
    "eps": "F = eps, the noise",
    "x0": "F = x0, the data",
    "v": "F = (alpha eps - sigma x0) / sqrt(alpha^2 + sigma^2)",
    "flow": "F = (alpha' x0 + sigma' eps) / max(|alpha'|, |sigma'|), the direction of the path",
    "score": "F = sigma grad log p(x) = -eps",
    "edm": "F = (x0 - c_skip x / alpha) / c_out, of unit variance at every noise level",
}
"""What the network says."""


def objectives_text() -> str:
    """Every prediction with its defaults, as a table."""
    rows = [("PREDICTION", "WEIGHTING", "TIMES", "REFERENCE")]
    rows += [(name, one.weighting, one.times, one.reference) for name, one in DEFAULTS.items()]
    lines = [
        "what is learned with --objective.prediction, and how, if nothing else is said:",
        "",
        *columns(rows),
        "",
        "diffx describe objective NAME shows one of them, and every option of an objective.",
    ]
    return "\n".join(lines)


def objective_text(name: str) -> str:
    """One prediction with its defaults, and what may be chosen instead."""
    facts = objective(name)
    rows = [
        ("network", facts["meaning"]),
        ("weighting", _with(facts, "weighting")),
        ("times", _with(facts, "times")),
        ("loss", _with(facts, "loss")),
        ("reference", facts["reference"]),
    ]
    options = option_lines(options_of(ObjectiveOptions), "objective.")
    return "\n".join([f"objective {name}:", *columns(rows), "", "options:", *options])


def objectives_json(name: str | None) -> Any:  # noqa: ANN401 - JSON types
    """One prediction with its defaults, or the list of all."""
    return [objective(one) for one in DEFAULTS] if name is None else objective(name)


def objective(name: str) -> dict[str, Any]:
    """What a prediction is trained with if nothing else is said, in full.

    Raises:
        ConfigError: there is no such prediction.
    """
    for prediction in get_args(PredictionName):
        if prediction == name:
            full = ObjectiveOptions(prediction=prediction).resolved()
            return {
                "prediction": name,
                "meaning": MEANINGS[prediction],
                "weighting": full.weighting,
                "times": full.times,
                "loss": full.loss,
                "parameters": {
                    key: {one: getattr(full, one) for one in PARAMETERS.get(choice, {})}
                    for key in ("weighting", "times", "loss")
                    if (choice := f"{key}={getattr(full, key)}") in PARAMETERS
                },
                "reference": DEFAULTS[prediction].reference,
            }
    known = ", ".join(DEFAULTS)
    raise ConfigError(f"unknown objective {show(name)}{nearest(name, DEFAULTS)} ({known})")


def _with(facts: dict[str, Any], key: str) -> str:
    values = facts["parameters"].get(key, {})
    listed = ", ".join(f"{name} {value}" for name, value in values.items())
    return f"{facts[key]} ({listed})" if listed else str(facts[key])
