"""In which numbers the network computes. Everything around it is float32.

float16 has no small numbers, so the loss is scaled up before gradients are taken of it, by as much
as they bear (Micikevicius et al., Mixed Precision Training, 2018, arXiv:1710.03740).
"""

import torch
from attrs import frozen
from torch import Tensor

from diffx_core.dataset import Condition
from diffx_core.denoiser import Backbone
from diffx_core.options import PrecisionName

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@frozen(eq=False)
class Cast:
    """A network that computes in another precision, and answers in that of its input.

    Args:
        backbone: the network.
        dtype: in which its products are made.
        layout: how images lie in memory when it sees them.
    """

    backbone: Backbone
    dtype: torch.dtype | None
    layout: torch.memory_format = torch.preserve_format

    def __call__(self, x: Tensor, noise_label: Tensor, cond: Condition) -> Tensor:
        """What the network says."""
        if x.ndim == 4 and self.layout is not torch.preserve_format:
            x = x.contiguous(memory_format=self.layout)
        if self.dtype is None:
            return self.backbone(x, noise_label, cond)
        with torch.autocast(x.device.type, self.dtype):
            return self.backbone(x, noise_label, cond).to(x.dtype)


def cast(backbone: Backbone, precision: PrecisionName, *, channels_last: bool = False) -> Backbone:
    """The network in a precision; itself if there is nothing to do."""
    if precision == "fp32" and not channels_last:
        return backbone
    layout = torch.channels_last if channels_last else torch.preserve_format
    return Cast(backbone, DTYPES.get(precision), layout)


def scaler_for(precision: PrecisionName, device: torch.device) -> torch.amp.GradScaler:
    """What scales the loss: it does nothing unless the precision is float16."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
