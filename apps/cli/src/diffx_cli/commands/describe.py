"""`diffx describe KIND [NAME]`: a component with its options, or what an objective means."""

import inspect
import json
import math
from typing import TYPE_CHECKING, Any, Literal

from attrs import Attribute, field, frozen
from attrs.validators import le, optional

from diffx_cli.components.objectives import objective_text, objectives_json, objectives_text
from diffx_cli.line.command import Command
from diffx_cli.line.console import counted, say
from diffx_cli.line.help import option_lines
from diffx_cli.line.options import Shown
from diffx_cli.line.request import Chosen, Request
from diffx_core.config import REQUIRED, Option, flag, options_of, type_name
from diffx_core.config.run import plain
from diffx_core.errors import ConfigError
from diffx_core.plugins.component import Kind
from diffx_core.plugins.registered import Registered

if TYPE_CHECKING:
    from diffx_core.dataset import DataSpec


MOST = 2**31
"""Numbers of an example, classes or numbers of a token; with more, a network of usual widths has
sizes that torch cannot count."""


def _countable(_: object, attribute: "Attribute[Any]", shape: tuple[int, ...]) -> None:
    """A validator: not more numbers than can be counted."""
    if math.prod(shape) > MOST:
        raise ValueError(f"'{attribute.name}' must be of at most {MOST:,} numbers: {shape}")


@frozen(kw_only=True)
class DescribeOptions(Shown):
    """What is described.

    Args:
        kind: what it is: the kind of a component, or objective.
        name: the component, short or qualified; or the objective's prediction, by default all.
        shape: of the data of a backbone whose size and cost are shown, such as 3,32,32.
        num_classes: of these data.
        context: width of the tokens, such as those of a text, that come with these data; --text
            names the encoder that makes them, instead.
    """

    kind: Literal[Kind, "objective"]
    name: str | None = None
    shape: tuple[int, ...] | None = field(default=None, validator=optional(_countable))
    num_classes: int | None = field(default=None, validator=optional(le(MOST)))
    context: int | None = field(default=None, validator=optional(le(MOST)))


def run(request: Request) -> None:
    """Print the description, or the same as JSON."""
    options: DescribeOptions = request.options
    if options.kind == "objective":
        _objective(options)
        return
    if options.name is None:
        known = ", ".join(one.name for one in request.registry.all(options.kind))
        raise ConfigError(f"--name: is required: which {options.kind} ({known or 'none'})")
    registered = request.registry.find(options.kind, options.name)
    target = registered.load()
    size = _size(request, registered)
    if options.json:
        described = _as_json(registered, target)
        say(json.dumps(described | ({} if size is None else {"size": size}), indent=2))
    else:
        say(_as_text(registered, target) + ("" if size is None else f"\n\n{_size_text(size)}"))


def _objective(options: DescribeOptions) -> None:
    if options.json:
        say(json.dumps(objectives_json(options.name), indent=2))
    else:
        say(objectives_text() if options.name is None else objective_text(options.name))


def _size(request: Request, registered: Registered) -> dict[str, Any] | None:
    """The figures of a backbone as plain JSON types, if data for it are named."""
    options: DescribeOptions = request.options
    told = [
        name for name in ("shape", "num_classes", "context") if getattr(options, name) is not None
    ]
    told += [kind for kind in ("dataset", "text") if kind in request.components]
    if registered.kind != "backbone":
        if told:
            raise ConfigError(
                f"{flag(told[0])}: is for a backbone, and this is a {registered.kind}"
            )
        return None
    if options.shape is None and "dataset" not in told:
        if told or "backbone" in request.components:
            raise ConfigError("--shape: is required, such as 3,32,32 (or --dataset NAME)")
        return None
    from diffx_cli.components.figures import CONTEXT_LENGTH, figures
    from diffx_cli.line.blame import blaming

    chosen = request.components.get("backbone") or Chosen.by_default(registered)
    text = request.components.get("text")
    tokens = CONTEXT_LENGTH if text is None else text.build().length
    spec = _spec(request)
    with blaming({"backbone": registered.label}):
        found = figures(chosen.build, spec, tokens)
    return {
        "shape": list(spec.shape),
        "num_classes": spec.num_classes,
        "context": spec.context,
        "parameters": found.parameters,
        "gflop": found.flop / 1e9,
    }


def _spec(request: Request) -> "DataSpec":
    """The facts about the data that are named."""
    from diffx_cli.train.assembly import dataset_of
    from diffx_core.dataset import DataSpec

    options: DescribeOptions = request.options
    source, text = (request.components.get(kind) for kind in ("dataset", "text"))
    if source is None:
        context = options.context if text is None else text.build().width
        return DataSpec(options.shape or (), options.num_classes, context=context)
    if options.num_classes is not None:
        raise ConfigError("--num-classes: the dataset tells it; give one of them")
    if options.context is not None:
        raise ConfigError(
            "--context: is for data that --shape names; those of a dataset are its captions, which"
            " an encoder reads that --text names"
        )
    return dataset_of(source, text).spec


def _size_text(size: dict[str, Any]) -> str:
    shape = " x ".join(map(str, size["shape"]))
    number = size["num_classes"]
    classes = "" if number is None else f", {counted(number, 'class', 'classes')}"
    context = "" if size["context"] is None else f", context tokens of {size['context']}"
    return (
        f"for data {shape}{classes}{context}:\n"
        f"  parameters  {size['parameters']:,}\n"
        f"  GFLOP       {size['gflop']:.3g} to call it with one example"
        " (an addition and a multiplication are two)"
    )


def _as_text(registered: Registered, target: type) -> str:
    lines = [
        f"{registered.kind} {registered.label}: {registered.summary}",
        f"full name: {registered.qualified}",
        "",
        inspect.cleandoc(target.__doc__ or "").partition("\nArgs:")[0].strip(),
        "",
        "options:",
        *option_lines(options_of(target), f"{registered.kind}."),
    ]
    return "\n".join(lines)


def _as_json(registered: Registered, target: type) -> dict[str, Any]:
    return {
        "kind": registered.kind,
        "name": registered.name,
        "qualified": registered.qualified,
        "distribution": registered.distribution,
        "version": registered.version,
        "summary": registered.summary,
        "options": [_option(one) for one in options_of(target)],
    }


def _option(option: Option) -> dict[str, Any]:
    required = option.default is REQUIRED
    return {
        "name": option.name,
        "type": type_name(option.type),
        "required": required,
        "default": None if required else plain(option.default),
        "help": option.help,
    }


COMMAND = Command(
    name="describe",
    summary="Show one component with its options, or the objective that a prediction is given.",
    options=DescribeOptions,
    run=run,
    words=("kind", "name"),
    names_one=True,
    components={"backbone": None, "dataset": None, "text": None},
    exclusive=(("shape", "dataset"), ("context", "text")),
    examples=(
        "diffx describe scheduler vesde",
        "diffx describe backbone dit --backbone.preset S/2 --shape 4,32,32 --num-classes 1000",
        "diffx describe backbone dit --shape 4,32,32 --text bytes",
        "diffx describe backbone dit --json",
        "diffx describe objective",
        "diffx describe objective edm",
    ),
)
