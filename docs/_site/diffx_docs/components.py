"""A page for each component that diffx brings, and for each kind, from the plugins themselves."""

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

from diffx_cli.components.checking import LAWS
from diffx_core.config import options_of
from diffx_core.dataset import DataSpec
from diffx_core.options import ComesInSizes, SizeName
from diffx_core.plugins import KINDS, Registry
from diffx_core.plugins.component import Kind
from diffx_core.plugins.registered import Registered
from diffx_core.testing import Law
from diffx_docs.curves import drawing
from diffx_docs.links import ROOT, relative, source_page
from diffx_docs.markdown import code, fenced, plain, prose, references, summary, table
from diffx_docs.measured import orders, partners
from diffx_docs.options import option_table
from diffx_docs.source import file_of

TITLES: dict[Kind, str] = {
    "scheduler": "Noise processes",
    "backbone": "Networks",
    "sampler": "Samplers",
    "dataset": "Datasets",
    "text": "Text encoders",
    "logger": "Loggers",
    "metric": "Metrics",
}
WORDS: dict[Kind, str] = {
    "scheduler": "A noise process is two functions of time, alpha and sigma; all else is derived.",
    "backbone": "A network is told a noisy example, its level of noise and what is known about it.",
    "sampler": "A sampler is one step to less noise, in every process that offers what it needs.",
    "dataset": "A dataset delivers examples by number, and says what they are.",
    "text": "A text encoder makes tokens of captions and prompts, for a network to read.",
    "logger": "A logger is told the figures of a run while it trains.",
    "metric": "A metric says how good samples are, by their features or by themselves.",
}
MORE: dict[Kind, tuple[str, ...]] = {
    "scheduler": ("plugins/processes.md", "training/objective.md", "matrix.md"),
    "backbone": ("training/backbones.md", "training/weights.md"),
    "sampler": ("sampling/orders.md", "matrix.md", "sampling/grids.md"),
    "dataset": ("training/data.md",),
    "text": ("training/text.md",),
    "logger": ("training/logging.md",),
    "metric": ("evaluation.md",),
}
"""Pages about the components of a kind."""
FOLDER = "components"
SHOWN = DataSpec(shape=(3, 32, 32), num_classes=10)
VECTORS = DataSpec(shape=(2,))


def ours() -> Registry:
    """What diffx brings itself, whatever else is installed where the site is built."""
    names = [folder.name for folder in (ROOT / "packages").iterdir() if folder.is_dir()]
    plugins = ",".join(f"diffx-{name}" for name in sorted(names) if name != "core")
    return Registry.load({"DIFFX_PLUGINS": plugins, "DIFFX_STRICT_PLUGINS": "1"})


def component_pages(registry: Registry) -> dict[str, str]:
    """Every page, by its place on the site."""
    pages = {f"{FOLDER}/{kind}/index.md": _kind(registry, kind) for kind in KINDS}
    return pages | {page_of(one): _page(one) for one in registry.all()}


def page_of(one: Registered) -> str:
    """The page of a component."""
    return f"{FOLDER}/{one.kind}/{one.name}.md"


def sources(registry: Registry) -> set[str]:
    """The files in which the components are, and those of their laws."""
    laws = {_home(law) for kind in KINDS for law in LAWS[kind]}
    return laws | {file_of(one.load()) for one in registry.all()}


def _kind(registry: Registry, kind: Kind) -> str:
    here = f"{FOLDER}/{kind}/index.md"
    rows = [
        (f"[`{one.name}`]({one.name}.md)", plain(one.summary), code(one.distribution))
        for one in registry.all(kind)
    ]
    return "\n".join(
        (
            f"# {TITLES[kind]}\n",
            (
                f"{WORDS[kind]} {len(rows)} come with diffx; one of your own is offered alike"
                f" (`diffx new-plugin {kind} NAME`, [how](../../plugins/first.md)).\n"
            ),
            table(("name", "what it is", "package"), rows),
            f"More about them:\n\n{_more(kind, here)}",
            "## Laws\n\nEvery one obeys these, and `diffx check-plugin NAME` measures them:\n",
            _laws(kind, here),
        )
    )


def _page(one: Registered) -> str:
    target, here = one.load(), page_of(one)
    return "\n".join(
        (
            f"# {one.name}\n",
            f"{prose(target.__doc__)}\n",
            (
                f"A {_called(one.kind)} of the package `{one.distribution}`"
                f" ([source]({relative(source_page(file_of(target)), here)})).\n"
            ),
            *_section("How it works", prose(inspect.getmodule(target).__doc__)),
            *_section("What it looks like", _drawn(one, target)),
            *_section("Use", fenced(_usage(one, target), "bash")),
            *_section("Options", option_table(target, f"{one.kind}.")),
            *_section("Sizes", _sizes(target)),
            *_section("Measured order", orders(one, here)),
            *_section("Works with", partners(one, here)),
            *_section("References", references(target.__doc__)),
            *_section("See also", _more(one.kind, here)),
            (
                f"## Laws\n\nIt obeys the [laws of {TITLES[one.kind].lower()}](index.md#laws), all"
                f" {len(LAWS[one.kind])} of them. To measure them here:\n"
            ),
            fenced(f"diffx check-plugin {one.name} --kind {one.kind}", "bash"),
        )
    )


def _section(title: str, text: str) -> Iterator[str]:
    if text:
        yield f"## {title}\n"
        yield f"{text}\n"


def _drawn(one: Registered, target: type) -> str:
    """A process with its defaults."""
    if one.kind != "scheduler":
        return ""
    told = "With the options by default; blue are the data, orange the noise."
    return f"{drawing(target())}\n{told}"


def _called(kind: Kind) -> str:
    return {"text": "text encoder", "scheduler": "noise process"}.get(kind, kind)


def _usage(one: Registered, target: type) -> str:
    """A line that uses it, with an option of its own."""
    example = _example(one, target)
    lines = {
        "sampler": f"diffx sample --sampler {one.name}{example}",
        "text": f"diffx train --dataset image_folder --dataset.root images --text {one.name}",
        "logger": f"diffx train --loggers {one.name}",
        "metric": f"diffx evaluate --metrics {one.name}",
    }
    line = lines.get(one.kind, f"diffx train --{one.kind} {one.name}{example}")
    return f"{line}\ndiffx describe {one.kind} {one.name}"


def _example(one: Registered, target: type) -> str:
    """The first option that has a plain value by default."""
    for option in options_of(target):
        if isinstance(option.default, int | float | str) and not isinstance(option.default, bool):
            return f" --{one.kind}.{option.name} {_other(option.type, option.default)}"
    return ""


def _other(annotation: object, default: object) -> object:
    """A choice that is not the default, where there are choices."""
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    return next((one for one in choices if one != default), default)


def _sizes(target: type) -> str:
    """What the sizes of `--preset` mean for a network that has them."""
    if not issubclass(target, ComesInSizes):
        return ""
    spec = VECTORS if "vectors" in summary(target.__doc__) else SHOWN
    rows = []
    for size in get_args(SizeName):
        found = target.sized(size, spec).options
        rows.append((code(size), ", ".join(f"`{key}={value}`" for key, value in found.items())))
    shape = "x".join(map(str, spec.shape))
    return f"`--preset` makes of it, for data of {shape}:\n\n" + table(("size", "options"), rows)


def _laws(kind: Kind, here: str) -> str:
    return "".join(
        f"* {plain(law.name)} ([source]({relative(source_page(_home(law)), here)}))\n"
        for law in LAWS[kind]
    )


def _home(law: Law[Any]) -> str:
    measure = law.measure
    while hasattr(measure, "func"):
        measure = measure.func
    return file_of(measure)


def _more(kind: Kind, here: str) -> str:
    return "".join(f"* [{_title(page)}]({relative(page, here)})\n" for page in MORE[kind])


def _title(page: str) -> str:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return text.partition("\n")[0].removeprefix("# ")


def kinds(registry: Registry) -> Sequence[tuple[str, list[str]]]:
    """The titles of the kinds with their pages, for the navigation."""
    return [
        (TITLES[kind], [f"{FOLDER}/{kind}/index.md", *map(page_of, registry.all(kind))])
        for kind in KINDS
    ]
