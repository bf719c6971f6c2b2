"""The features by which the literature means FID: the Inception network of 2015.

Its weights are a file of the user's, of which the SHA-256 is known; nothing else is opened.
"""

import hashlib
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn

from diffx_core import INCEPTION, ConfigError, DataError, DataSpec, require_library
from diffx_metrics.features.seen import Features, Seen, is_picture, to_bytes

FILE = "weights-inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
LAYERS = ["2048", "logits_unbiased"]
"""What FID and KID are measured on, and IS."""


@frozen(kw_only=True, eq=False)
class Inception(Features):
    """The Inception network, as torch-fidelity computes it.

    Args:
        network: it.
        spec: the facts about the data.
        device: where it is.
    """

    network: nn.Module
    spec: DataSpec
    device: torch.device

    @classmethod
    def load(cls, file: Path, spec: DataSpec, device: torch.device) -> "Inception":
        """The network with the weights of a file.

        Raises:
            ConfigError: the data are no pictures, or a library is not there.
            DataError: it cannot be read, or is another file.
        """
        if not is_picture(spec):
            raise ConfigError("Inception sees pictures, grey or in colour, and the data are none")
        require_library("torch_fidelity", "diffx-metrics[inception]")
        content = verified(file)
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        # the very bytes that were checked are read, not the file once more
        network = FeatureExtractorInceptionV3(
            "inception-v3-compat", LAYERS, feature_extractor_weights_path=BytesIO(content)
        )
        return cls(network=network.to(device), spec=spec, device=device)

    @property
    def name(self) -> str:
        """The name that makes a Frechet distance an FID."""
        return INCEPTION

    @property
    def facts(self) -> dict[str, Any]:
        """The weights, and how images are resized."""
        return {"sha256": SHA256, "resize": "299, bilinear as in TensorFlow 1"}

    @property
    def knows_classes(self) -> bool:
        """Those of ImageNet."""
        return True

    @torch.no_grad()
    def see(self, x: Tensor) -> Seen:
        """The features (B, 2048) of images, and the logits of ImageNet's classes."""
        images = to_bytes(x, self.spec).to(self.device)
        features, logits = self.network(images.expand(-1, 3, -1, -1))
        return Seen(features.cpu(), logits.cpu())


def verified(file: Path) -> bytes:
    """The content of the file of weights, which is the one that everybody has.

    Raises:
        DataError: it cannot be read, or is another file.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise DataError(
            f"{file}: is not {FILE} of torch-fidelity: its SHA-256 begins with {found[:8]}, not"
            f" {SHA256[:8]}"
        )
    return content
