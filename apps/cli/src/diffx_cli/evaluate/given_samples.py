"""Samples that a user gives to be judged: a folder of `diffx sample`, or any folder of images."""

import json
from pathlib import Path

from torch import Tensor

from diffx_cli.evaluate.reference import Reference
from diffx_cli.evaluate.trained_on import FACTS
from diffx_cli.line.console import counted
from diffx_cli.use.given import Giver
from diffx_cli.use.tensors import TENSORS
from diffx_cli.use.using import Used
from diffx_core.errors import DataError
from diffx_metrics.features.seen import as_kept


def samples_in(folder: Path, model: Used, reference: Reference) -> tuple[Tensor, list[int] | None]:
    """The samples of a folder in the form in which they are measured, and their labels if any.

    Raises:
        DataError: there are none, or they are not such as the model's.
    """
    inside = (folder / "images", folder / f"samples{TENSORS}")
    place = next((one for one in inside if one.exists()), folder)
    if reference.decoder is None or place.suffix == TENSORS:
        x = reference.measured(Giver("--samples", model.pipeline.spec).examples([place]).x)
    else:  # images that have been decoded
        spec = reference.dataset.spec
        x = as_kept(Giver("--samples", spec).examples([place]).x, spec)
    return x, _labels(folder, len(x), reference.source.spec.num_classes)


def _labels(folder: Path, n: int, classes: int | None) -> list[int] | None:
    facts = folder / FACTS
    if not facts.exists():
        return None
    try:
        labels = json.loads(facts.read_text("utf-8")).get("labels")
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"--samples {facts}: cannot be read: is it that of diffx?") from error
    if labels is None:
        return None
    if not isinstance(labels, list) or len(labels) != n:
        raise DataError(f"--samples {folder}: {FACTS} is about other samples than there are")
    known = range(classes or 0)
    have = counted(len(known), "class", "classes")
    wrong = [one for one in labels if type(one) is not int or one not in known]
    if wrong:
        raise DataError(
            f"--samples {folder}: {FACTS} has the label {json.dumps(wrong[0])}, and the model's"
            f" data have {have}: are they samples of another model?"
        )
    return labels
