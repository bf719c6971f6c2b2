"""DiT written plainly, with the names that its published weights have; and weights for tests.

What our imports are held against, and what our networks are timed beside.
"""

import math
from zlib import crc32

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf


def filled(name: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor for a network in a test: numbers that depend on its name and shape alone.

    They look random, keep activations at about unit size, and are the same on every machine.
    """
    size = math.prod(shape)
    place = torch.arange(size, dtype=torch.float64) + crc32(name.encode()) % 9973
    number = (place * math.sqrt(2) * 1000).frac() - 0.5  # of variance 1/12
    if len(shape) > 1:
        number = number * math.sqrt(12 / math.prod(shape[1:]))
    elif "norm" in name and name.endswith("weight"):
        number = 1 + number
    return number.view(shape).float()


def fill(network: nn.Module) -> nn.Module:
    """The network with `filled` weights, all but positions; ready to be called."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name != "pos_embed":
                weight.copy_(filled(name, tuple(weight.shape)))
    return network.eval()


def sinusoids(t: Tensor, count: int) -> Tensor:
    """cos(w t), then sin(w t)."""
    w = 10_000 ** (-torch.arange(count // 2, dtype=torch.float64) / (count // 2))
    angle = t[:, None] * w.to(t)
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def grid_positions(side: int, width: int) -> Tensor:
    """(side^2, width): sin and cos of the column, then of the row."""
    w = 10_000 ** (-torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    angles = [one.flatten()[:, None] * w for one in (column, row)]
    return torch.cat([f(angle) for angle in angles for f in (torch.sin, torch.cos)], dim=1).float()


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, width = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        h = nnf.scaled_dot_product_attention(q, k, v)
        return self.proj(h.transpose(1, 2).reshape(b, n, width))


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(nnf.gelu(self.fc1(x), approximate="tanh"))


def _modulate(h: Tensor, norm: nn.Module, shift: Tensor, scale: Tensor) -> Tensor:
    return norm(h) * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attn = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.mlp = _Mlp(width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c).chunk(6, dim=1)
        h = h + gate1.unsqueeze(1) * self.attn(_modulate(h, self.norm1, shift1, scale1))
        return h + gate2.unsqueeze(1) * self.mlp(_modulate(h, self.norm2, shift2, scale2))


class _Last(nn.Module):
    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.linear = nn.Linear(width, outputs)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(c).chunk(2, dim=1)
        return self.linear(_modulate(h, self.norm_final, shift, scale))


def mlp_of(sizes: tuple[int, int]) -> nn.Sequential:
    features, width = sizes
    return nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))


class PlainDiT(nn.Module):
    """DiT (Peebles and Xie, 2022), and SiT, whose network is the same.

    Args:
        side: of the square images.
        channels: of the images.
        outputs: channels of the output; twice as many with learned variances.
    """

    def __init__(
        self,
        *,
        side: int = 32,
        channels: int = 4,
        outputs: int = 8,
        patch: int = 2,
        width: int = 384,
        depth: int = 12,
        heads: int = 6,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        self.patch, self.outputs, self.rows = patch, outputs, side // patch
        self.x_embedder = nn.Module()
        self.x_embedder.proj = nn.Conv2d(channels, width, patch, patch)
        self.t_embedder = nn.Module()
        self.t_embedder.mlp = mlp_of((256, width))
        self.y_embedder = nn.Module()
        self.y_embedder.embedding_table = nn.Embedding(classes + 1, width)
        positions = grid_positions(self.rows, width)[None]
        self.pos_embed = nn.Parameter(positions, requires_grad=False)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.final_layer = _Last(width, patch**2 * outputs)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        h = self.x_embedder.proj(x).flatten(2).transpose(1, 2) + self.pos_embed
        c = self.t_embedder.mlp(sinusoids(t, 256)) + self.y_embedder.embedding_table(y)
        for block in self.blocks:
            h = block(h, c)
        h = self.final_layer(h, c)
        h = h.view(len(x), self.rows, self.rows, self.patch, self.patch, self.outputs)
        return torch.einsum("nrspqc->ncrpsq", h).reshape(len(x), self.outputs, *x.shape[2:])
