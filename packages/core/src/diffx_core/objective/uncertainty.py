"""How large the loss is at each noise level, learned: large losses then count less.

    loss' = exp(-u) loss + u,    u a linear function of Fourier features of the noise level

is smallest at u = log E[loss], where every level counts alike.

References:
    Karras et al., Analyzing and Improving the Training Dynamics, 2024, arXiv:2312.02696, eq. 14.
    Kendall et al., Multi-Task Learning Using Uncertainty, 2018, arXiv:1705.07115.
"""

import math

import torch
from torch import Tensor, nn

from diffx_core.noise import generator

FEATURES = 128


class Uncertainty(nn.Module):
    """u as a function of the log-SNR; zero at first.

    Args:
        seed: of the frequencies.
    """

    frequencies: Tensor
    phases: Tensor

    def __init__(self, seed: int) -> None:
        super().__init__()
        source = generator(seed, "uncertainty")
        frequencies = torch.randn(FEATURES, generator=source)
        phases = torch.rand(FEATURES, generator=source)
        self.register_buffer("frequencies", 2 * math.pi * frequencies)
        self.register_buffer("phases", 2 * math.pi * phases)
        self.weight = nn.Parameter(torch.zeros(FEATURES))

    def forward(self, log_snr: Tensor) -> Tensor:
        """U (B,) at log-SNRs (B,)."""
        # log(sigma / alpha) / 4 is what EDM tells a network about the noise level.
        place = (-log_snr / 8).to(self.weight.dtype)
        angles = place[:, None] * self.frequencies + self.phases
        features = math.sqrt(2) * angles.cos()
        return (features @ self.weight / math.sqrt(FEATURES)).to(log_snr.dtype)
