"""Texts through the encoders of CLIP and T5, with weights from a folder.

A token is what the last layer says at a place: h_i in R^D, for the l tokens of the text with those
that begin and end it. Weights are frozen, and a text is encoded once: its tokens are kept on disk.

References:
    Radford et al., 2021, Learning Transferable Visual Models (arXiv:2103.00020): CLIP.
    Raffel et al., 2020, Exploring the Limits of Transfer Learning (arXiv:1910.10683): T5.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from attrs import evolve, field, frozen
from attrs.validators import and_, ge, in_, le
from torch import Tensor, nn

from diffx_backbones.text.files import EncoderFiles
from diffx_backbones.text.kept import Kept
from diffx_backbones.text.loading import load_network, load_tokenizer
from diffx_core import ConfigError, TextEncoder, Tokens

AT_ONCE = 64
"""Texts that go through the network together on an accelerator."""
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@frozen
class Pretrained(TextEncoder):
    """A network with weights from a folder.

    On a CPU each text goes through it alone, so that its tokens are the same to the last bit
    whatever the texts beside it; on an accelerator, where many go together, they are the same to
    rounding.

    Args:
        root: folder with config.json, model.safetensors and the files of the tokenizer, or one of a
            diffusers pipeline with the folders text_encoder and tokenizer.
        length: tokens of a text that are read, with those that begin and end it.
        precision: of the network; what it says is always float32.
    """

    KINDS: ClassVar[tuple[str, ...]]
    """What the configuration may say that the network is."""
    NETWORK: ClassVar[str]
    """Its class in transformers."""
    WIDTH: ClassVar[str]
    """What the configuration calls the width of a token."""

    root: Path = field(kw_only=True)
    length: int = field(kw_only=True)
    precision: Literal["float32", "bfloat16"] = field(
        default="float32", kw_only=True, validator=in_(tuple(PRECISIONS))
    )
    device: torch.device = field(factory=lambda: torch.device("cpu"), converter=torch.device)

    def __attrs_post_init__(self) -> None:
        if find_spec("transformers") is None:
            raise ConfigError("needs the library transformers: pip install 'diffx-backbones[text]'")
        if not isinstance(self.config.get(self.WIDTH), int):
            raise ConfigError(f"{self.files.network}: config.json does not say {self.WIDTH}")
        places = self.config.get("max_position_embeddings", self.length)
        if self.length > places:
            raise ConfigError(f"length is {self.length}, and the network has {places} places")

    @property
    def files(self) -> EncoderFiles:
        """Where everything is."""
        return EncoderFiles(self.root)

    @cached_property
    def config(self) -> dict[str, Any]:
        """What the network is, of its part that reads texts."""
        config = self.files.config(self.KINDS)
        return {**config, **(config.get("text_config") or {})}

    @property
    def width(self) -> int:
        """Of the network."""
        return int(self.config[self.WIDTH])

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the files."""
        return self.files.fingerprint()

    def on(self, device: torch.device | str) -> TextEncoder:
        """The same encoder on a device."""
        return evolve(self, device=device)

    def count(self, text: str) -> int:
        """The tokens of a text, with those that begin and end it."""
        return len(self._tokenizer(text, verbose=False)["input_ids"])

    def encode(self, texts: Sequence[str]) -> Tokens:
        """What the network says of each text, read from disk where it has been said before."""
        found = self._kept.encodings(list(dict.fromkeys(texts)), self._made)
        context = torch.zeros(len(texts), self.length, self.width)
        mask = torch.zeros(len(texts), self.length, dtype=torch.bool)
        for i, text in enumerate(texts):
            size = len(found[text])
            context[i, :size], mask[i, :size] = found[text], True
        return Tokens(context.to(self.device), mask.to(self.device))

    @cached_property
    def _kept(self) -> Kept:
        facts = f"{self.fingerprint} {self.length} {self.precision} {self.device.type}"
        return Kept(f"text-{hashlib.sha256(facts.encode()).hexdigest()[:16]}", self.width)

    @torch.no_grad()
    def _made(self, texts: list[str]) -> list[Tensor]:
        at_once = 1 if self.device.type == "cpu" else AT_ONCE
        made: list[Tensor] = []
        for first in range(0, len(texts), at_once):
            given = self._tokenizer(
                texts[first : first + at_once],
                truncation=True,
                max_length=self.length,
                padding=True,
                return_tensors="pt",
            ).to(self.device)
            ids, mask = given["input_ids"], given["attention_mask"]
            said = self._network(input_ids=ids, attention_mask=mask).last_hidden_state
            sizes = mask.sum(1).tolist()
            made += [one[:size] for one, size in zip(said.float().cpu(), sizes, strict=True)]
        return made

    @cached_property
    def _tokenizer(self) -> Any:  # noqa: ANN401 - the library has no common type of them
        return load_tokenizer(self.files.tokenizer)

    @cached_property
    def _network(self) -> nn.Module:
        dtype = PRECISIONS[self.precision]
        return load_network(self.files.network, self.NETWORK, dtype).to(self.device)


@frozen
class CLIP(Pretrained):
    """The text encoder of CLIP, as of Stable Diffusion 1: short captions and what they look like.

    Args:
        length: tokens of a text that are read, with the two that begin and end it.
    """

    KINDS = ("clip_text_model", "clip")
    NETWORK = "CLIPTextModel"
    WIDTH = "hidden_size"

    length: int = field(default=77, kw_only=True, validator=and_(ge(2), le(4096)))


@frozen
class T5(Pretrained):
    """The encoder of T5: long captions, with an understanding of language.

    Args:
        length: tokens of a text that are read, with the one that ends it.
    """

    KINDS = ("t5",)
    NETWORK = "T5EncoderModel"
    WIDTH = "d_model"

    length: int = field(default=120, kw_only=True, validator=and_(ge(1), le(4096)))
