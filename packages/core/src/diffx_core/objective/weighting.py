"""How much each noise level counts, declared once as a function of the log-SNR.

From the same x, errors of the two ends are bound together, alpha dx0 = -sigma deps. A weighting w
is the weight of both of them together,

    w (|dx0|^2 + |deps|^2),

which is (1 + SNR) w on the error of x0 and (1 + 1/SNR) w on the error of eps: this form alone is
finite at both ends of every process, for every weighting. What the network's output F has to be
weighted with follows from what F means (`Ends.gain`); so the same weighting is the same loss and
has the same gradient, whatever a network predicts.

With d = SNR / (1 + SNR) and n = 1 / (1 + SNR), the shares of data and noise:

    uniform        d                   1 on eps
    snr            1                   SNR + 1 on x0; 1 on v
    truncated_snr  max(d, n)           max(SNR, 1) on x0
    min_snr        min(d, gamma n)     min(SNR, gamma) on x0
    p2             d n^gamma           1 / (1 + SNR)^gamma on eps
    edm            d + n / s^2         1 on the output of edm prediction, s = sigma_data
    flow           1 + 2 sqrt(d n)     1 on the velocity eps - x0 of the straight path

Two weightings are *absolute*: they say what counts in the bound of the log-likelihood,

    loss = 1/2 integral of W(lambda) |deps|^2 over the log-SNR lambda,

and so do not depend on how often a level is seen, nor on the process that passes through it:

    likelihood     W = 1
    sigmoid        W = sigmoid(bias - lambda)
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from diffx_core.options import WeightingName


class NoiseLevel(NamedTuple):
    """What a weighting may depend on: the noise level, and nothing of the process.

    Args:
        log_snr: lambda = log(alpha^2 / sigma^2).
        sigma_data: root mean square of the data.
    """

    log_snr: Tensor
    sigma_data: float

    @property
    def data(self) -> Tensor:
        """The share of the data, SNR / (1 + SNR)."""
        return self.log_snr.sigmoid()

    @property
    def noise(self) -> Tensor:
        """The share of the noise, 1 / (1 + SNR)."""
        return (-self.log_snr).sigmoid()


def uniform(level: NoiseLevel) -> Tensor:
    """1 on the error of eps, the "simple" loss.

    References:
        Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv:2006.11239, eq. 14.
    """
    return level.data


def snr(level: NoiseLevel) -> Tensor:
    """SNR + 1 on the error of x0, which is 1 on the error of v.

    References:
        Salimans & Ho, Progressive Distillation, 2022, arXiv:2202.00512, section 4.
    """
    return torch.ones_like(level.log_snr)


def truncated_snr(level: NoiseLevel) -> Tensor:
    """max(SNR, 1) on the error of x0.

    References:
        Salimans & Ho, Progressive Distillation, 2022, arXiv:2202.00512, section 4.
    """
    return torch.maximum(level.data, level.noise)


def min_snr(level: NoiseLevel, gamma: float) -> Tensor:
    """min(SNR, gamma) on the error of x0.

    References:
        Hang et al., Efficient Diffusion Training via Min-SNR Weighting, 2023, arXiv:2303.09556.
    """
    return torch.minimum(level.data, gamma * level.noise)


def p2(level: NoiseLevel, gamma: float) -> Tensor:
    """1 / (1 + SNR)^gamma on the error of eps.

    References:
        Choi et al., Perception Prioritized Training, 2022, arXiv:2204.00227, eq. 8.
    """
    return level.data * level.noise**gamma


def edm(level: NoiseLevel) -> Tensor:
    """(k^2 + s^2) / (k s)^2 on the error of x0, for k = sigma / alpha and s = sigma_data.

    References:
        Karras et al., Elucidating the Design Space, 2022, arXiv:2206.00364, table 1.
    """
    return level.data + level.noise / level.sigma_data**2


def flow(level: NoiseLevel) -> Tensor:
    """1 on the error of the velocity of the straight path: (1 + k)^2 / k^2 on that of x0.

    References:
        Lipman et al., Flow Matching, 2023, arXiv:2210.02747; Liu et al., 2023, arXiv:2209.03003.
    """
    return 1 + 2 * (level.data * level.noise).sqrt()


def likelihood(level: NoiseLevel) -> Tensor:
    """The bound of the negative log-likelihood, up to its ends: W = 1.

    References:
        Kingma et al., Variational Diffusion Models, 2021, arXiv:2107.00630, eq. 17.
        Song et al., Maximum Likelihood Training, 2021, arXiv:2101.09258.
    """
    return torch.ones_like(level.log_snr)


def sigmoid(level: NoiseLevel, bias: float) -> Tensor:
    """The bound for data seen with noise added: W is the sigmoid of bias - lambda.

    References:
        Kingma & Gao, Understanding Diffusion Objectives, 2023, arXiv:2303.00848.
        Hoogeboom et al., Simpler Diffusion, 2024, arXiv:2410.19324.
    """
    return (bias - level.log_snr).sigmoid()


WEIGHTINGS: dict[WeightingName, Callable[..., Tensor]] = {
    "uniform": uniform,
    "snr": snr,
    "truncated_snr": truncated_snr,
    "min_snr": min_snr,
    "p2": p2,
    "edm": edm,
    "flow": flow,
    "likelihood": likelihood,
    "sigmoid": sigmoid,
}
"""The weightings that are a W of the log-SNR."""
