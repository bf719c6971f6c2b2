"""The latents that a model was trained on, as `sample.json` beside its samples names them."""

import json
from pathlib import Path
from typing import Any

from attrs import frozen

from diffx_core.errors import ConfigError, DataError

FACTS = "sample.json"
LATENTS = "diffx-datasets:latents"


@frozen(kw_only=True)
class TrainedOn:
    """The latents that a model was trained on.

    Args:
        root: their folder.
        flip: whether half of them were mirrored.
        captions: whether their texts were read.
        fingerprint: of what was read; empty if nobody knows it.
    """

    root: Path
    flip: bool
    captions: bool
    fingerprint: str

    @property
    def are_there(self) -> bool:
        """Whether their folder has latents, if not always the same ones."""
        return any(self.root.glob("latents*.safetensors"))

    def are_in(self, root: Path) -> bool:
        """Whether a folder of latents has the same ones."""
        from diffx_datasets.latents import Latents

        if not self.fingerprint:
            return True
        try:
            found = Latents(root=root, flip=self.flip, captions=self.captions).fingerprint
        except DataError:  # it lacks the mirrored ones, or the texts
            return False
        return found == self.fingerprint


def trained_on(folder: Path) -> TrainedOn | None:
    """The latents of the model of some samples; None if it was trained on nothing such.

    Raises:
        ConfigError: the samples come without what was written beside them.
        DataError: it does not say what the model was trained on.
    """
    file = folder / FACTS
    if not file.exists():
        raise ConfigError(
            f"{folder}: has no {FACTS}, which says what scale the samples have: put it back, or"
            " name the folder of the latents that the model was trained on with --latents"
        )
    try:
        dataset = json.loads(file.read_text(encoding="utf-8"))["dataset"]
        if dataset is None or dataset["name"] != LATENTS:
            return None
        return _read(dataset["options"], dataset.get("fingerprint", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{file}: does not say what the model was trained on: name the folder with --latents"
        ) from error


def _read(options: dict[str, Any], fingerprint: str) -> TrainedOn:
    return TrainedOn(
        root=Path(options["root"]),
        flip=options.get("flip") is True,
        captions=options.get("captions") is True,
        fingerprint=fingerprint,
    )
