"""The files of a pretrained text encoder, in the layout of the `transformers` library.

    config.json, model.safetensors (or an index of several), tokenizer.json or the like

or, as in the folder of a diffusers pipeline, the first two under text_encoder and the last under
tokenizer. Nothing is ever fetched from anywhere else.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from diffx_core import ConfigError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZERS = ("tokenizer*.json", "vocab.*", "merges.txt", "*.model", "*_tokens*.json")
"""What the files of a tokenizer are called."""


@frozen
class EncoderFiles:
    """The folders of a text encoder.

    Args:
        root: the folder that was named.
    """

    root: Path

    @property
    def network(self) -> Path:
        """Where the configuration and the weights are."""
        inner = self.root / "text_encoder"
        return inner if (inner / CONFIG).is_file() else self.root

    @property
    def tokenizer(self) -> Path:
        """Where the files of the tokenizer are."""
        inner = self.root / "tokenizer"
        return inner if inner.is_dir() else self.root

    def config(self, kinds: tuple[str, ...]) -> dict[str, Any]:
        """The configuration of the network.

        Args:
            kinds: what it may say that the network is.

        Raises:
            ConfigError: there is none, or one of another network, or something is missing beside.
        """
        file = self.network / CONFIG
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
            kind = config["model_type"]
        except OSError as error:
            raise ConfigError(
                f"{self.root}: is no folder of a text encoder ({CONFIG}: {error.strerror});"
                " --text.root names one with config.json, model.safetensors and a tokenizer"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{file}: is not the configuration of a network: {error}") from error
        if kind not in kinds:
            raise ConfigError(f"{file}: is of a network of the kind {kind!r}, not {kinds[0]!r}")
        missing = [one for one in self.weights() if not one.is_file()]
        if missing:
            raise ConfigError(
                f"{missing[0]} is missing: weights are read from safetensors, and from no other"
                " file, since those can run code"
            )
        if not any(self._of_tokenizer()):
            raise ConfigError(f"{self.tokenizer}: there are no files of a tokenizer")
        return dict(config)

    def weights(self) -> list[Path]:
        """The files of the weights."""
        index = self.network / INDEX
        if not index.is_file():
            return [self.network / WEIGHTS]
        try:
            names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
            return [self.network / name for name in sorted(set(names))]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"{index}: is not an index of weights: {error}") from error

    def fingerprint(self) -> str:
        """The SHA-256 of all of them."""
        total = hashlib.sha256()
        for file in (self.network / CONFIG, *self.weights(), *self._of_tokenizer()):
            with file.open("rb") as opened:
                total.update(file.name.encode() + hashlib.file_digest(opened, "sha256").digest())
        return total.hexdigest()

    def _of_tokenizer(self) -> Iterator[Path]:
        found = {file for pattern in TOKENIZERS for file in self.tokenizer.glob(pattern)}
        yield from sorted(found)
