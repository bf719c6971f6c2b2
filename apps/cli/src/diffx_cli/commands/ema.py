"""`diffx ema RUN --sigma-rel 0.07`: the model of a run with an average of another length."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen
from attrs.validators import ge, optional

from diffx_cli.line.command import Command
from diffx_cli.line.console import command, counted, say
from diffx_cli.line.options import Shown
from diffx_cli.line.request import Request
from diffx_cli.output.folders import RUNS, check_free
from diffx_cli.output.results import OF_WEIGHTS
from diffx_core.options.ema import width

if TYPE_CHECKING:
    from diffx_core.config.run import Run
    from diffx_core.engine.averaging import Reconstruction

WRITTEN = ("config.yaml", "env.json", "checkpoints", "latest", *OF_WEIGHTS)
"""What the folder of such a model holds that diffx wrote."""


@frozen(kw_only=True)
class EmaCommandOptions(Shown):
    """Which average is made, and where it goes.

    Args:
        run: folder of a run that was trained with --ema.kind power.
        sigma_rel: width of the average in units of the training, from 0.005 to 0.28; between and
            around those that were kept it is nearest to what was asked for.
        step: last step that counts, one of which there are snapshots; by default the last of them.
        out: folder for the model; by default the next number under runs/.
        overwrite: replace what diffx wrote into the folder before.
        dry_run: say how near the average comes, and write nothing.
    """

    run: Path
    sigma_rel: float = field(validator=width)
    step: int | None = field(default=None, validator=optional(ge(1)))
    out: Path | None = None
    overwrite: bool = False
    dry_run: bool = False


def run(request: Request) -> None:
    """Make the average and write it as a run, which ``diffx sample`` draws from like any other."""
    from diffx_core.config.run import Run
    from diffx_core.engine.averaging import reconstruct
    from diffx_core.engine.checkpoint import load_checkpoint

    options: EmaCommandOptions = request.options
    check_free(options.out, overwrite=options.overwrite)
    record = Run.from_json(load_checkpoint(options.run, parts=()).record)
    made = reconstruct(options.run, options.sigma_rel, options.step)
    folder = None if options.dry_run else _write(options, record, made)
    if options.json:
        say(json.dumps({"run": None if folder is None else str(folder), **_facts(made)}))
        return
    say(
        f"average of width {made.sigma_rel:g} at step {made.step}, of "
        f"{counted(made.snapshots, 'snapshot')}; "
        f"its profile is {made.error:.1e} of its length from the one asked for"
    )
    if folder is None:
        say("nothing was written")
    else:
        say(f"written: {folder}\nsample it: {command('sample', folder)}")


def _facts(made: "Reconstruction") -> dict[str, Any]:
    return {
        "step": made.step,
        "sigma_rel": made.sigma_rel,
        "snapshots": made.snapshots,
        "error": made.error,
    }


def _write(options: EmaCommandOptions, record: "Run", made: "Reconstruction") -> Path:
    from diffx_cli.output.place import claimed
    from diffx_cli.output.writing import writing
    from diffx_cli.train.environment import environment
    from diffx_core.config import write_yaml
    from diffx_core.engine.saving import Snapshot, save_checkpoint

    # Training with this width would have kept the same average; and a model that guides another one
    # of the same run is told from it by what its record says.
    section = {**record.sections["ema"], "sigma_rel": [made.sigma_rel]}
    record = evolve(record, sections={**record.sections, "ema": section})
    distributions = [one.distribution for one in record.components.values()]
    facts = environment(distributions, device="cpu", argv=sys.argv)
    name = f"{options.run.resolve().name.partition('-')[2] or 'model'}-ema-{made.sigma_rel:g}"
    where = options.out, RUNS, name, WRITTEN
    with claimed(*where, overwrite=options.overwrite) as place, writing(place.folder):
        write_yaml(place.partial / "config.yaml", record.to_config())
        text = json.dumps({**facts, "average": {"of": str(options.run), **_facts(made)}}, indent=2)
        (place.partial / "env.json").write_text(text + "\n", encoding="utf-8")
        snapshot = Snapshot(
            step=made.step, weights=made.state, ema=made.state, record=record.to_json()
        )
        save_checkpoint(place.partial, snapshot)
        place.publish()
    return place.folder


COMMAND = Command(
    name="ema",
    summary="Make a model of a run with an average of any length.",
    options=EmaCommandOptions,
    run=run,
    words=("run",),
    examples=(
        "diffx ema runs/00000-vpsde-unet-digits --sigma-rel 0.07",
        "diffx ema runs/00000-vpsde-unet-digits --sigma-rel 0.15 --step 2000 --out runs/longer",
    ),
)
