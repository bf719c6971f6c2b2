"""`diffx export RUN --format safetensors`: the network of a run in a form that others read."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

from diffx_cli.line.command import Command
from diffx_cli.line.console import counted, note, say
from diffx_cli.line.options import Shown
from diffx_cli.line.request import Request
from diffx_cli.output.folders import check_free, newest_run, run_folder

if TYPE_CHECKING:
    from diffx_cli.export.subject import Subject

FACTS = "export.json"
"""What is said of the files, beside them."""

DIFFUSERS = ("diffusion_pytorch_model.safetensors", "config.json", "scheduler_config.json")
"""What diffusers calls its files."""

Format = Literal["safetensors", "torch_export", "onnx", "diffusers"]
Precision = Literal["float32", "bfloat16", "float16"]


@frozen(kw_only=True)
class ExportOptions(Shown):
    """What is exported, and how.

    Args:
        run: run folder or checkpoint; by default the newest run under runs/.
        format: safetensors, the averaged weights as one file; torch_export, a program of
            torch.export that runs without diffx; onnx, one that runs without torch; diffusers, a
            folder that diffusers loads, for networks that it has, too.
        dtype: of the weights in safetensors; the others have float32.
        out: folder for the files; by default the next number under RUN/exports/.
        overwrite: replace what diffx wrote into the folder before.
        dry_run: load the run and say what would be written.
    """

    run: Path | None = None
    format: Format = field()
    dtype: Precision = "float32"
    out: Path | None = None
    overwrite: bool = False
    dry_run: bool = False


def run(request: Request) -> None:
    """Write the files, or none of them.

    Raises:
        ConfigError: the form cannot be what was asked for.
        CheckpointError: there is no such run.
    """
    from diffx_cli.export.subject import Subject
    from diffx_core.errors import ConfigError

    options: ExportOptions = request.options
    check_free(options.out, overwrite=options.overwrite)
    if options.format != "safetensors" and options.dtype != "float32":
        raise ConfigError(f"--dtype: {options.format} has float32, not {options.dtype}")
    subject = Subject.load(options.run or newest_run(), request.registry)
    if options.dry_run:
        _check(options, subject)
        folder, facts = None, subject.facts()
    else:
        folder, facts = _write(options, subject)
    for line in facts.get("notes", ()):
        note(line)
    if options.json:
        say(json.dumps({"folder": None if folder is None else str(folder), **facts}, indent=2))
        return
    what = (
        f"{subject.label} after {counted(subject.step, 'step')}, {facts['parameters']:,} parameters"
    )
    if folder is None:
        say(f"{what}, as {options.format}; nothing was written")
    else:
        say(f"{what}\nexported: {folder}")


def _check(options: ExportOptions, subject: "Subject") -> None:
    """Refuse what writing refuses of the run, but do not make a program to find out."""
    import torch

    from diffx_cli.export import diffusers, onnx, weights

    if options.format == "safetensors":
        weights.held(subject, getattr(torch, options.dtype))
    elif options.format == "diffusers":
        diffusers.twin(subject)
    elif options.format == "onnx":
        onnx.require_libraries()


def _write(options: ExportOptions, subject: "Subject") -> tuple[Path, dict[str, Any]]:
    import torch

    from diffx_cli.export import diffusers, onnx, program, weights
    from diffx_cli.output.place import claimed
    from diffx_cli.output.results import results
    from diffx_cli.output.writing import writing

    home, name = run_folder(subject.path), options.format
    names = (FACTS, "model.safetensors", "model.pt2", "model.onnx", "model.onnx.data", *DIFFUSERS)
    with (
        claimed(
            options.out, results(home, "exports"), name, names, overwrite=options.overwrite, width=4
        ) as place,
        writing(place.folder),
    ):
        if name == "safetensors":
            made = weights.export(subject, place.partial, getattr(torch, options.dtype))
        elif name == "diffusers":
            made = diffusers.export(subject, place.partial)
        elif name == "onnx":
            made = onnx.export(subject, place.partial)
        else:
            made = program.export(subject, place.partial)
        facts = {"format": name, "dtype": options.dtype, **subject.facts(), **made}
        text = json.dumps(facts, indent=2)
        (place.partial / FACTS).write_text(f"{text}\n", encoding="utf-8")
        place.publish()
    return place.folder, facts


COMMAND = Command(
    name="export",
    summary="Write the network of a run in a form that others read.",
    options=ExportOptions,
    run=run,
    words=("run",),
    examples=(
        "diffx export --format safetensors --dtype bfloat16",
        "diffx export runs/00000-vpsde-unet-digits --format onnx",
        "diffx export runs/00000-vpsde-ddpm_unet-digits --format diffusers --out unet",
    ),
)
