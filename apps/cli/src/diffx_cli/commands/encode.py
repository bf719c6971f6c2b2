"""`diffx encode [RUN]`: the noise from which the model makes given images."""

import json

from attrs import frozen

from diffx_cli.line.command import Command
from diffx_cli.line.console import say
from diffx_cli.line.options import Giving
from diffx_cli.line.request import Request
from diffx_cli.output.folders import check_free


@frozen(kw_only=True)
class EncodeOptions(Giving):
    """What is encoded, and how.

    Args:
        out: folder for the latents; by default the next number under RUN/encode/.
        label: the class that every image is taken to be of; by default the model is told none.
        labels: the classes of the images, in turn.
        prompt: the text of every image, for a model that was trained with texts.
        prompts: file with a text in each line, for the images in turn.
        check: also decode the latents, and say how far that is from the images.
    """

    check: bool = False


def run(request: Request) -> None:
    """Encode, or with ``--dry-run`` show what would be encoded."""
    from diffx_cli.use.inverting import Encoding

    options: EncodeOptions = request.options
    check_free(options.out, overwrite=options.overwrite)
    encoding = Encoding.prepare(request)
    if options.dry_run:
        say(json.dumps(encoding.facts(), indent=2))
        return
    file, facts = encoding.write()
    if options.json:
        say(json.dumps({"latents": str(file), **facts}))
        return
    say(f"latents: {file}")
    if facts["error"] is not None:
        say(
            "decoded again, they are off by {rms:.3g} (rms), {max:.3g} at most".format(
                **facts["error"]
            )
        )


COMMAND = Command(
    name="encode",
    summary="Find the noise from which a trained run makes given images.",
    options=EncodeOptions,
    run=run,
    words=("run",),
    components={"sampler": "rk45", "scheduler": None},
    aliases={"steps": "sampler.steps"},
    exclusive=(
        ("sampler.steps", "nfe"),
        ("label", "labels"),
        ("prompt", "prompts"),
        ("images", "seed"),
    ),
    examples=(
        "diffx encode --images photo.png --check",
        "diffx encode runs/00000-vpsde-unet-digits --images digits --out noise",
        "diffx encode --images photo.png --label 3 --sampler heun --steps 40",
    ),
)
