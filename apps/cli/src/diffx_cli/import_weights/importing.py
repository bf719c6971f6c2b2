"""From a file of weights to a run folder."""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, frozen

from diffx_cli.import_weights.foreign_files import Files, read_weights
from diffx_cli.line.request import Chosen, Request
from diffx_cli.output.folders import RUNS
from diffx_cli.output.place import claimed
from diffx_cli.output.results import OF_WEIGHTS
from diffx_cli.output.writing import writing
from diffx_cli.train.environment import environment
from diffx_core.config import write_yaml
from diffx_core.config.run import Run, SavedComponent, plain
from diffx_core.dataset import spec_to_json
from diffx_core.engine.saving import Snapshot, save_checkpoint
from diffx_core.errors import ConfigError, PluginError
from diffx_core.foreign import ForeignWeights, ImportedModel, ImportsWeights
from diffx_core.options import ObjectiveOptions

WRITTEN = ("config.yaml", "env.json", "checkpoints", "latest", *OF_WEIGHTS)
"""What a folder of an imported run holds that diffx wrote."""
UNIT = 1.0
"""Of data for which others take the root mean square to be one."""


@frozen(eq=False)
class Imported:
    """What was imported.

    Args:
        model: the network and what must be known of it.
        record: of the run.
        notes: what is worth knowing.
        folder: of the run; None if nothing was written.
    """

    model: ImportedModel
    record: Run
    notes: tuple[str, ...]
    folder: Path | None

    def summary(self) -> str:
        """One line."""
        numbers = sum(one.numel() for one in self.model.weights.values())
        shape = " x ".join(map(str, self.model.spec.shape))
        process, backbone = (self.record.components[kind] for kind in ("scheduler", "backbone"))
        prediction = self.record.sections["objective"]["prediction"]
        return (
            f"{len(self.model.weights)} tensors of {numbers:,} numbers from layout"
            f" {self.model.layout} fit {backbone.label}: data {shape}, process {process.label},"
            f" prediction {prediction}"
        )

    def facts(self) -> dict[str, Any]:
        """The same as plain JSON types."""
        return {
            "run": None if self.folder is None else str(self.folder),
            "layout": self.model.layout,
            "tensors": len(self.model.weights),
            "parameters": sum(one.numel() for one in self.model.weights.values()),
            "record": self.record.to_json(),
            "notes": list(self.notes),
        }


def import_run(request: Request) -> Imported:
    """Read the file, carry its weights over, and write the run unless it is a dry one.

    Raises:
        ConfigError: the backbone takes no weights from elsewhere, or something has to be told.
        CheckpointError: the file cannot be read, or does not fit.
    """
    options, chosen = request.options, request.components["backbone"]
    if not isinstance(chosen.target, ImportsWeights):
        names = ", ".join(_importing(request)) or "none is installed"
        raise ConfigError(f"{chosen.label} takes no weights from elsewhere; those that do: {names}")
    files = read_weights(options.file)
    process = _process(request, files)
    model = chosen.target.import_weights(
        ForeignWeights(
            path=str(options.file),
            tensors=files.tensors,
            config=files.config,
            process=process,
            layout=options.layout,
            shape=options.shape,
            num_classes=options.num_classes,
            options={name: chosen.options[name] for name in chosen.told},
        )
    )
    record = _record(request, model, chosen)
    which = () if files.inside is None else (f"the weights are those named {files.inside}",)
    folder = None if options.dry_run else _write(request, model, record)
    return Imported(model, record, which + model.notes, folder)


def _process(request: Request, files: Files) -> dict[str, Any]:
    """What the files say of the process, unless somebody says another."""
    if "scheduler" not in request.components:
        return files.process
    if files.process and request.options.prediction is None:
        said = files.process.get("prediction_type", "epsilon")
        raise ConfigError(
            f"--prediction: is required besides --scheduler, which replaces what the pipeline says"
            f" ({said} prediction)"
        )
    return {}


def _record(request: Request, model: ImportedModel, chosen: Chosen) -> Run:
    scheduler = request.components.get("scheduler") or _usual(request, model)
    objective = ObjectiveOptions(
        prediction=request.options.prediction or model.prediction,
        sigma_data=UNIT,
        scale_input=model.scale_input,
        label_dropout=0.1 if model.knows_nothing_told else 0.0,
    )
    components = {
        "scheduler": SavedComponent.of(scheduler.registered, scheduler.options),
        "backbone": SavedComponent.of(chosen.registered, {**chosen.options, **model.options}),
    }
    return Run(
        components=components,
        sections={"objective": plain(asdict(objective))},
        spec=spec_to_json(model.spec),
    )


def _usual(request: Request, model: ImportedModel) -> Chosen:
    chosen = Chosen.by_default(request.registry.find("scheduler", model.scheduler))
    chosen = evolve(chosen, options={**chosen.options, **model.scheduler_options})
    chosen.build()
    return chosen


def _write(request: Request, model: ImportedModel, record: Run) -> Path:
    name = request.components["backbone"].registered.name
    where = request.options.out, RUNS, f"imported-{name}", WRITTEN
    distributions = [one.distribution for one in record.components.values()]
    facts = environment(distributions, device="cpu", argv=sys.argv)
    weights = dict(model.weights)
    with claimed(*where, overwrite=request.options.overwrite) as place, writing(place.folder):
        write_yaml(place.partial / "config.yaml", record.to_config())
        text = json.dumps(facts, indent=2) + "\n"
        (place.partial / "env.json").write_text(text, encoding="utf-8")
        saved = Snapshot(step=0, weights=weights, ema=weights, record=record.to_json())
        save_checkpoint(place.partial, saved)
        place.publish()
    return place.folder


def _importing(request: Request) -> Iterator[str]:
    for one in request.registry.all("backbone"):
        with suppress(PluginError):
            if isinstance(one.load(), ImportsWeights):
                yield one.name
