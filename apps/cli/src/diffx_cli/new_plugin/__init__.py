"""Packages for plugin authors to begin with: files of templates, with the names filled in.

What all kinds share is in ``templates/package``, the component and its tests in a folder of the
kind. A template is text with ``$name`` where a name goes, and ends in ``.in``, so that nobody takes
it for a module of ours.
"""

import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from keyword import kwlist
from pathlib import Path
from string import Template

from attrs import frozen

from diffx_core.config import show
from diffx_core.errors import ConfigError
from diffx_core.plugins.component import Kind
from diffx_core.plugins.hookspecs import HOOK_OF_KIND
from diffx_core.plugins.registry import Registry

TEMPLATES = Path(__file__).parent / "templates"

LONGEST = 50
"""Letters of a name: it becomes that of a folder, of a package and of a class."""

SAYS_ELSE = frozenset({"auto", "none", "null", "true", "false", "yes", "no", "on", "off", *kwlist})
"""Words that mean something else on a command line, in YAML or in Python."""

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@frozen
class Sort:
    """What the package of a kind is about.

    Args:
        word: what a component of the kind is called in a sentence.
        base: the class that it extends, which ends the name of its own.
        module: where it is.
        summary: of the component that is there to begin with.
        use: a command line that uses it.
    """

    word: str
    base: str
    module: str
    summary: str
    use: str


SORTS: Mapping[Kind, Sort] = {
    "scheduler": Sort(
        "noise process",
        "Scheduler",
        "process",
        "Variance-preserving process with a hyperbolic signal",
        "diffx train --scheduler $name --scheduler.rate 6",
    ),
    "backbone": Sort(
        "network",
        "Backbone",
        "network",
        "Two layers, for small data of any shape",
        "diffx train --backbone $name --backbone.width 512",
    ),
    "sampler": Sort(
        "sampler",
        "Sampler",
        "steps",
        "First order, deterministic, one network call a step",
        "diffx sample --sampler $name --steps 20",
    ),
    "dataset": Sort(
        "dataset",
        "Dataset",
        "points",
        "Points on a circle, labelled by half",
        "diffx train --dataset $name --backbone mlp",
    ),
    "text": Sort(
        "text encoder",
        "TextEncoder",
        "encoder",
        "A token for each word",
        "diffx train --text $name --dataset image_folder --dataset.root photos"
        " --dataset.captions txt --backbone dit",
    ),
    "logger": Sort(
        "logger",
        "Logger",
        "lines",
        "Lines of text in the folder of the run",
        "diffx train --loggers $name",
    ),
    "metric": Sort(
        "metric",
        "Metric",
        "figures",
        "Energy distance of features",
        "diffx evaluate --metrics $name",
    ),
}
"""By kind."""


def distribution_of(name: str) -> str:
    """What the package of a component is called, and the folder that it is made in."""
    return f"diffx-{name.replace('_', '-')}"


def check_name(kind: Kind, name: str, registry: Registry) -> None:
    """Refuse a name that nobody could use, or that somebody uses already, and a kind without one.

    Raises:
        ConfigError: it is one of these.
    """
    if kind not in SORTS:
        raise ConfigError(f"there is no {kind} to begin with: choose from {', '.join(SORTS)}")
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise ConfigError(
            f"a name has at most {LONGEST} lower-case letters and digits, begins with a letter, and"
            f" its words are joined by underscores, got {show(name)}{_instead(name)}"
        )
    if name in SAYS_ELSE:
        raise ConfigError(f"{show(name)} means something else already: choose another name")
    for one in registry.all(kind):
        if one.name == name:
            raise ConfigError(f"there is a {kind} {one.label} already: choose another name")
    if _is_installed(name):
        raise ConfigError(
            f"a package {distribution_of(name)} is installed already: choose another name, or work"
            " on that one"
        )


def files(kind: Kind, name: str) -> dict[str, str]:
    """The text of every file of a package, by its path in the folder of the package."""
    sort = SORTS[kind]
    package = f"diffx_{name}"
    names = {
        "name": name,
        "kind": kind,
        "word": sort.word,
        "distribution": distribution_of(name),
        "package": package,
        "module": sort.module,
        "title": _title(name, sort.base),
        "summary": sort.summary,
        "hook": HOOK_OF_KIND[kind],
        "use": Template(sort.use).substitute(name=name),
    }
    source = f"src/{package}"
    templates = {
        "pyproject.toml": "package/pyproject.toml.in",
        "README.md": "package/README.md.in",
        f"{source}/__init__.py": "package/__init__.py.in",
        f"{source}/plugin.py": "package/plugin.py.in",
        f"{source}/py.typed": "package/py.typed.in",
        f"{source}/{sort.module}.py": f"{kind}/component.py.in",
        f"tests/test_{name}.py": f"{kind}/test.py.in",
    }
    return {
        path: Template((TEMPLATES / file).read_text(encoding="utf-8")).substitute(names)
        for path, file in templates.items()
    }


def _title(name: str, base: str) -> str:
    """The name of the class; never that of the class which it extends."""
    title = "".join(map(str.capitalize, name.split("_")))
    return title if title.endswith(base) and title != base else title + base


def _instead(name: str) -> str:
    """A name that could be used and looks like this one, for the end of a message."""
    near = re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")
    return f": try {near}" if _NAME.fullmatch(near) and len(near) <= LONGEST else ""


def _is_installed(name: str) -> bool:
    try:
        distribution(distribution_of(name))
    except PackageNotFoundError:
        return find_spec(f"diffx_{name}") is not None
    return True
