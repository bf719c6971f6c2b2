"""What the page may ask for: a part of what `diffx sample` takes, as the same texts.

They are checked as those of a command line are, so that a mistake is answered in the same words.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import frozen

from diffx_cli.commands import sample
from diffx_cli.line.request import Request
from diffx_cli.line.resolve import resolve
from diffx_core.config import flag, options_of
from diffx_core.dataset import DataSpec
from diffx_core.errors import ConfigError
from diffx_core.options import GuidanceOptions
from diffx_core.plugins.registry import Registry

PLAIN = ("sampler", "steps", "nfe", "seed", "n", "labels", "prompt")
"""Options of `diffx sample` that the page has."""
OPEN = tuple(one.name for one in options_of(GuidanceOptions) if one.name != "against")
"""Options of guidance that the page has: not the one that reads a folder."""

MOST_SAMPLES, MOST_STEPS, MOST_PIXELS = 256, 1000, 2**22
"""Of one drawing: a page is for looking."""
LONGEST = 2000
"""Characters of a text."""


@frozen
class Home:
    """The run that is sampled.

    Args:
        source: where it is, or one of its checkpoints.
        device: by its name.
        text_root: where the files of the text encoder are now, if they have moved.
    """

    source: Path
    device: str
    text_root: Path | None = None

    def texts(self) -> dict[str, str]:
        """What a command line would say of it."""
        root = {} if self.text_root is None else {"text_root": str(self.text_root)}
        return {"run": str(self.source), "device": self.device, **root}


def asked(given: object, home: Home, registry: Registry) -> Request:
    """The request to sample that a page makes.

    Args:
        given: texts by the names of options.
        home: what is sampled.
        registry: what is installed.

    Raises:
        ConfigError: one line for each thing that is wrong.
    """
    if not isinstance(given, Mapping):
        raise ConfigError("the page must send texts by the names of options")
    problems = [*_foreign(given)]
    if problems:
        raise ConfigError(*problems)
    return resolve(sample.COMMAND, {**given, **home.texts()}, registry)


def most_samples(spec: DataSpec) -> int:
    """How many samples the page draws at most."""
    return max(1, min(MOST_SAMPLES, MOST_PIXELS // math.prod(spec.shape)))


def require_few(request: Request, spec: DataSpec) -> None:
    """Refuse what a page cannot show, or what would take all day.

    Args:
        request: what was asked for.
        spec: the facts about the data.

    Raises:
        ConfigError: it is too much.
    """
    n, nfe, most = request.options.n, request.options.nfe, most_samples(spec)
    amount, unit = (nfe, "nfe") if nfe else (request.components["sampler"].build().steps, "steps")
    problems = []
    if n > most:
        problems.append(f"--n: the page draws at most {most} samples at once, not {n}")
    if amount > MOST_STEPS:
        problems.append(f"--{unit}: the page takes at most {MOST_STEPS}, not {amount}")
    if problems:
        raise ConfigError(*(f"{one}: use diffx sample for more" for one in problems))


def _foreign(given: Mapping[object, object]) -> Iterator[str]:
    """What is no option that the page has, or no text."""
    allowed = {*PLAIN, *(f"guidance.{name}" for name in OPEN)}
    for key, text in given.items():
        if not (isinstance(key, str) and isinstance(text, str) and len(text) <= LONGEST):
            yield f"the page must send texts of at most {LONGEST} characters"
        elif key not in allowed and not key.startswith("sampler."):
            yield f"{flag(key[:100])}: is not for the page: use diffx sample"
