"""The U-Net of guided-diffusion, written plainly, with the names that published weights have."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from published import mlp_of, sinusoids


class _Told(nn.Module):
    """A residual block of guided-diffusion."""

    def __init__(
        self, inner: int, outer: int, told: int, *, scales: bool, resize: float | None = None
    ) -> None:
        super().__init__()
        self.scales, self.factor = scales, resize
        self.in_layers = nn.Sequential(
            nn.GroupNorm(32, inner), nn.SiLU(), nn.Conv2d(inner, outer, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(told, (1 + scales) * outer))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, outer), nn.SiLU(), nn.Identity(), nn.Conv2d(outer, outer, 3, padding=1)
        )
        self.skip_connection = nn.Identity() if inner == outer else nn.Conv2d(inner, outer, 1)

    def resized(self, x: Tensor) -> Tensor:
        if self.factor is None:
            return x
        return nnf.avg_pool2d(x, 2) if self.factor < 1 else nnf.interpolate(x, scale_factor=2.0)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        norm, act, conv = self.in_layers
        h = conv(self.resized(act(norm(x))))
        told = self.emb_layers(emb)[:, :, None, None]
        norm, act, _, conv = self.out_layers
        if self.scales:
            scale, shift = told.chunk(2, dim=1)
            h = norm(h) * (1 + scale) + shift
        else:
            h = norm(h + told)
        return self.skip_connection(self.resized(x)) + conv(act(h))


class _Pixels(nn.Module):
    """The attention of guided-diffusion: q, k and v of one head after another, or all of each."""

    def __init__(self, channels: int, heads: int, *, is_new: bool) -> None:
        super().__init__()
        self.heads, self.is_new = heads, is_new
        self.norm = nn.GroupNorm(32, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        b, c, *_ = x.shape
        flat = x.flatten(2)
        rows, heads = self.qkv(self.norm(flat)), b * self.heads
        if self.is_new:
            q, k, v = (one.reshape(heads, -1, flat.shape[2]) for one in rows.chunk(3, dim=1))
        else:
            q, k, v = rows.view(heads, -1, flat.shape[2]).chunk(3, dim=1)
        weight = torch.softmax(q.transpose(1, 2) @ k / math.sqrt(q.shape[1]), dim=-1)
        h = (v @ weight.transpose(1, 2)).reshape(b, c, -1)
        return (flat + self.proj_out(h)).view(x.shape)


class _Resample(nn.Module):
    def __init__(self, channels: int, *, is_up: bool) -> None:
        super().__init__()
        if is_up:
            self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        else:
            self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        if hasattr(self, "op"):
            return self.op(x)
        return self.conv(nnf.interpolate(x, scale_factor=2.0))


class PlainUNet(nn.Module):
    """The U-Net of guided-diffusion (Dhariwal and Nichol, 2021).

    Args:
        head_width: channels of a head; `heads` if None.
    """

    def __init__(
        self,
        *,
        channels: int = 3,
        outputs: int = 3,
        width: int = 32,
        mults: tuple[int, ...] = (1, 2),
        blocks: int = 1,
        attention: tuple[int, ...] = (1,),
        heads: int = 4,
        head_width: int | None = None,
        classes: int | None = None,
        scales: bool = False,
        updown: bool = False,
        is_new: bool = False,
    ) -> None:
        super().__init__()
        told = 4 * width
        self.width = width
        self.time_embed = mlp_of((width, told))
        self.label_emb = None if classes is None else nn.Embedding(classes, told)

        def cell(inner: int, outer: int, level: int) -> list[nn.Module]:
            pixels = [attended(outer)] if level in attention else []
            return [_Told(inner, outer, told, scales=scales), *pixels]

        def attended(size: int) -> nn.Module:
            count = size // head_width if head_width else heads
            return _Pixels(size, count, is_new=is_new)

        def step(size: int, factor: float) -> nn.Module:
            if updown:
                return _Told(size, size, told, scales=scales, resize=factor)
            return _Resample(size, is_up=factor > 1)

        size = width * mults[0]
        down: list[list[nn.Module]] = [[nn.Conv2d(channels, size, 3, padding=1)]]
        skips = [size]
        for level, mult in enumerate(mults):
            for _ in range(blocks):
                down.append(cell(size, width * mult, level))
                size = width * mult
                skips.append(size)
            if level < len(mults) - 1:
                down.append([step(size, 0.5)])
                skips.append(size)
        middle = (_Told(size, size, told, scales=scales) for _ in range(2))
        first, second = middle
        self.middle_block = nn.ModuleList([first, attended(size), second])
        up: list[list[nn.Module]] = []
        for level, mult in reversed(list(enumerate(mults))):
            for i in range(blocks + 1):
                parts = cell(size + skips.pop(), width * mult, level)
                size = width * mult
                up.append([*parts, step(size, 2.0)] if level and i == blocks else parts)
        self.input_blocks = nn.ModuleList(map(nn.ModuleList, down))
        self.output_blocks = nn.ModuleList(map(nn.ModuleList, up))
        self.out = nn.Sequential(
            nn.GroupNorm(32, size), nn.SiLU(), nn.Conv2d(size, outputs, 3, padding=1)
        )

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        emb = self.time_embed(sinusoids(t, self.width))
        if self.label_emb is not None:
            emb = emb + self.label_emb(y)
        h, skips = self.input_blocks[0][0](x), []
        skips.append(h)
        for parts in self.input_blocks[1:]:
            for part in parts:
                h = part(h, emb)
            skips.append(h)
        for part in self.middle_block:
            h = part(h, emb)
        for parts in self.output_blocks:
            h = torch.cat([h, skips.pop()], dim=1)
            for part in parts:
                h = part(h, emb)
        return self.out(h)
