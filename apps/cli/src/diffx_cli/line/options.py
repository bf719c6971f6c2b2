"""The options that several commands share; a command's own class extends one of these."""

from pathlib import Path
from typing import Literal

from attrs import field, frozen
from attrs.validators import and_, ge, lt, optional


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
        overwrite: replace what diffx wrote into the folder before.
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
class Using(Working):
    """What every command takes that uses a trained run.

    Args:
        run: run folder or checkpoint; by default the newest run under runs/.
        text_root: where the files of the text encoder are now, if they have moved.
    """

    run: Path | None = None
    text_root: Path | None = None


@frozen(kw_only=True)
class Telling(Using):
    """What every command takes that tells a trained model what to make.

    Args:
        label: the class of every sample.
        labels: the classes of the samples, in turn; by default all classes in turn, or none if
            there is a prompt.
        prompt: the text of every sample, for a model that was trained with texts.
        prompts: file with a text in each line, for the samples in turn.
    """

    label: int | None = field(default=None, validator=optional(ge(0)))
    labels: tuple[int, ...] | None = None
    prompt: str | None = None
    prompts: Path | None = None


@frozen(kw_only=True)
class Giving(Telling):
    """What every command takes that works on examples that a user gives.

    Args:
        images: image files or folders of them, as large and of the same colours as the model's; for
            a model of anything else, .safetensors files.
        fit: crop, resize and convert images that are not so.
        label: the class of every result; by default the model is told none.
        labels: the classes of the results, in turn.
        prompt: the text of every result, for a model that was trained with texts.
        prompts: file with a text in each line, for the results in turn.
        steps: steps of the sampler; the same as --sampler.steps.
        nfe: instead of steps, how many times the network is called.
    """

    images: tuple[Path, ...]
    fit: bool = False
    steps: int | None = None
    nfe: int | None = field(default=None, validator=optional(ge(1)))


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
