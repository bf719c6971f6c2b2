"""The options that several commands share; a command's own class extends one of these."""

from pathlib import Path
from typing import Literal

from attrs import field, frozen
from attrs.validators import and_, ge, lt


@frozen(kw_only=True)
class Shown:
    """How results and errors are shown.

    Args:
        json: write the result to stdout as JSON.
        debug: show a traceback with an error.
    """

    json: bool = False
    debug: bool = False


@frozen(kw_only=True)
class Working(Shown):
    """What every command that computes something takes.

    Args:
        config: YAML file with the same keys as the flags; flags win.
        out: folder for the results.
        overwrite: write into a folder that is not empty.
        seed: of everything random, from 0 to 2**64 - 1.
        device: auto, cpu, cuda, cuda:1, mps.
        dry_run: show what would be done, and do nothing.
    """

    config: Path | None = None
    out: Path | None = None
    overwrite: bool = False
    seed: int = field(default=0, validator=and_(ge(0), lt(2**64)))
    device: str = "auto"
    dry_run: bool = False


@frozen(kw_only=True)
class Learning(Working):
    """What every command that trains takes.

    Args:
        recipe: values from the literature for well-known data, under those of the file and the
            flags; ``diffx recipes`` lists them.
        preset: size of the network and its batches; auto is by the memory of the device.
    """

    recipe: str | None = None
    preset: Literal["auto", "tiny", "small", "medium", "large"] | None = None
