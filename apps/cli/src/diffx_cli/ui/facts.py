"""What the page is told of the run and of what is installed, as plain JSON types."""

from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from diffx_cli.commands.sample import SampleCommandOptions
from diffx_cli.line.request import Chosen
from diffx_cli.ui.asking import OPEN, most_samples
from diffx_cli.ui.looks import ENDS, caveat, kind
from diffx_cli.ui.studio import Studio
from diffx_core.config import Option, options_of, type_name, written
from diffx_core.config.run import plain
from diffx_core.contract import agree
from diffx_core.errors import DiffxError
from diffx_core.options import DEFAULT_SAMPLER, GuidanceOptions
from diffx_core.pipeline import Pipeline
from diffx_core.plugins.registered import Registered
from diffx_core.plugins.registry import Registry
from diffx_core.sampler import Sampler

USUAL_SAMPLES, USUAL_CALLS = 20, 20
"""Of a drawing, if nobody says another number: enough for a look."""
USUAL_POINTS = 256


def facts(studio: Studio) -> dict[str, Any]:
    """All that the page has to know."""
    pipeline, spec = studio.pipeline, studio.pipeline.spec
    assert pipeline.run is not None, "it was loaded"
    saved = pipeline.run.components
    most = most_samples(spec)
    return {
        "run": studio.home.source.name,
        "step": pipeline.step,
        "made_of": {of: one.name.partition(":")[2] for of, one in saved.items()},
        "device": pipeline.device.type,
        "shape": list(spec.shape),
        "kind": kind(spec),
        "caveat": caveat(spec),
        "ends": ENDS * spec.sigma_data,
        "classes": spec.num_classes,
        "prompts": pipeline.text is not None,
        "samplers": [*samplers(studio.registry, pipeline)],
        "sampler": DEFAULT_SAMPLER,
        "guidance": [
            _option(one, "guidance.") for one in options_of(GuidanceOptions) if one.name in OPEN
        ]
        if spec.num_classes or pipeline.text is not None
        else [],
        "n": min(most, USUAL_SAMPLES if spec.is_image else USUAL_POINTS),
        "most": most,
        "nfe": USUAL_CALLS,
        "help": {one.name: one.help for one in options_of(SampleCommandOptions)},
    }


def samplers(registry: Registry, pipeline: Pipeline) -> Iterator[dict[str, Any]]:
    """Every sampler that is installed; those that do not suit the model, with the reason."""
    for one in registry.all("sampler"):
        name = one.qualified if registry.is_ambiguous(one) else one.name
        try:
            yield {"name": name, "summary": one.summary, **_sampler(one, pipeline)}
        except DiffxError as error:
            yield {"name": name, "summary": one.summary, "refused": " ".join(error.problems)}


def _sampler(registered: Registered, pipeline: Pipeline) -> dict[str, Any]:
    """What can be said to a sampler.

    Raises:
        DiffxError: it does not suit the model.
    """
    chosen = Chosen.by_default(registered)
    sampler: Sampler[Any] = chosen.build()
    agree(sampler, pipeline.denoiser.scheduler)
    known = [one for one in options_of(chosen.target) if one.name != "steps"]
    return {
        "counts": sampler.nfe is not None,
        "options": [_option(one, "sampler.") for one in known],
    }


def _option(option: Option, prefix: str) -> dict[str, Any]:
    """An option, and what a form needs to ask for it."""
    default = plain(option.default)
    return {
        "key": prefix + option.name,
        "name": option.name,
        "type": type_name(option.type),
        "choices": _choices(option.type),
        "default": _text(default),
        "help": option.help,
    }


def _choices(annotation: object) -> list[str] | None:
    """The values of an option that has a few; None if there are others."""
    if annotation is bool:
        return ["true", "false"]
    if get_origin(annotation) is Literal:
        return [str(one) for one in get_args(annotation)]
    if get_origin(annotation) in (Union, UnionType):
        parts = [["none"] if one is NoneType else _choices(one) for one in get_args(annotation)]
        found = [one for part in parts if part is not None for one in part]
        return found if None not in parts else None
    return None


def _text(value: object) -> str:
    """A default as a flag has it."""
    return "" if isinstance(value, Mapping) else written(value)
