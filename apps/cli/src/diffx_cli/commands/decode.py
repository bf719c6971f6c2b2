"""`diffx decode [RUN]`: the images that the model makes of the noise of `diffx encode`."""

import json
from pathlib import Path

from attrs import field, frozen
from attrs.validators import ge, optional

from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.options import Telling
from diffx_cli.line.request import Request
from diffx_cli.output.folders import check_free


@frozen(kw_only=True)
class DecodeOptions(Telling):
    """What is decoded, and how.

    Args:
        run: run folder or checkpoint; by default the one that the latents were made by.
        out: folder for the results; by default the next number under RUN/decode/.
        latents: folder that diffx encode has written, or a .safetensors file of such latents.
        label: the class of every result; by default what the latents were encoded with.
        labels: the classes of the results, in turn.
        prompt: the text of every result, for a model that was trained with texts.
        prompts: file with a text in each line, for the results in turn.
        steps: steps of the sampler; the same as --sampler.steps.
        nfe: instead of steps, how many times the network is called.
    """

    latents: Path
    steps: int | None = None
    nfe: int | None = field(default=None, validator=optional(ge(1)))


def run(request: Request) -> None:
    """Decode, or with ``--dry-run`` show what would be decoded."""
    from diffx_cli.use.inverting import Decoding

    options: DecodeOptions = request.options
    check_free(options.out, overwrite=options.overwrite)
    decoding = Decoding.prepare(request)
    if options.dry_run:
        say(json.dumps(decoding.facts(), indent=2))
        return
    file, facts = decoding.write()
    say(json.dumps({"picture": str(file), **facts}) if options.json else f"decoded: {file}")


COMMAND = Command(
    name="decode",
    summary="Make images of the noise that diffx encode has found.",
    options=DecodeOptions,
    run=run,
    words=("run",),
    components={"sampler": "rk45", "scheduler": None},
    aliases={"steps": "sampler.steps"},
    exclusive=(
        ("sampler.steps", "nfe"),
        ("label", "labels"),
        ("prompt", "prompts"),
        ("latents", "seed"),
    ),
    examples=(
        "diffx decode --latents noise",
        "diffx decode --latents noise --label 8",
        "diffx decode runs/00000-vpsde-unet-digits --latents noise --sampler heun --steps 40",
    ),
)
