# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""LiteMedSAM's image encoder in the published order of operations (bowang-lab/MedSAM LiteMedSAM:tiny_vit_sam.py).

Apart from medsam_engine_tools' own, which are rewritten for speed at export: a baseline must not move with them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class ConvBN(nn.Sequential):
    """Convolution without bias, then batch norm."""

    def __init__(self, channels: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.add_module("c", nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False))
        self.add_module("bn", nn.BatchNorm2d(out))


class LayerNorm2d(nn.Module):
    """Layer norm over the channels of a feature map, spelt out (segment_anything/modeling/common.py)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        centered = x - x.mean(1, keepdim=True)
        normalized = centered / torch.sqrt(centered.pow(2).mean(1, keepdim=True) + 1e-6)
        return self.weight[:, None, None] * normalized + self.bias[:, None, None]


class MBConv(nn.Module):
    """Inverted bottleneck."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1, self.conv3 = ConvBN(dim, 4 * dim), ConvBN(4 * dim, dim)
        self.conv2 = ConvBN(4 * dim, 4 * dim, 3, groups=4 * dim)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        y = functional.gelu(self.conv2(functional.gelu(self.conv1(x))))
        return functional.gelu(x + self.conv3(y))


class PatchMerging(nn.Module):
    """Between two stages; tokens or a map in, tokens out."""

    def __init__(self, dim: int, out: int, stride: int, grid: int) -> None:
        super().__init__()
        self.grid = grid
        self.conv1, self.conv3 = ConvBN(dim, out), ConvBN(out, out)
        self.conv2 = ConvBN(out, out, 3, stride, groups=out)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        if x.ndim == 3:
            x = x.view(x.shape[0], self.grid, self.grid, -1).permute(0, 3, 1, 2)
        x = self.conv3(functional.gelu(self.conv2(functional.gelu(self.conv1(x)))))
        return x.flatten(2).transpose(1, 2)


class WindowAttention(nn.Module):
    """One interleaved projection to q, k and v; a learned bias for each absolute offset in the window."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (dim // heads) ** -0.5
        self.norm, self.qkv, self.proj = nn.LayerNorm(dim), nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))
        y, x = (axis.flatten() for axis in torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij"))
        self.index: Tensor
        offsets = (y[:, None] - y).abs() * window + (x[:, None] - x).abs()
        self.register_buffer("index", offsets, persistent=False)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        windows, tokens, dim = x.shape
        qkv = self.qkv(self.norm(x)).view(windows, tokens, self.heads, -1)
        q, k, v = (part.permute(0, 2, 1, 3) for part in qkv.split([dim // self.heads] * 3, dim=3))
        scores = (q @ k.transpose(-2, -1)) * self.scale + self.attention_biases[:, self.index]
        out: Tensor = self.proj((scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(windows, tokens, dim))
        return out


class Mlp(nn.Module):
    """Pre-norm perceptron."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm, self.fc1, self.fc2 = nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        out: Tensor = self.fc2(functional.gelu(self.fc1(self.norm(x))))
        return out


class Block(nn.Module):
    """Window attention on the grid padded to whole windows, depthwise convolution, perceptron."""

    def __init__(self, dim: int, heads: int, window: int, grid: int) -> None:
        super().__init__()
        self.grid, self.window, self.padding = grid, window, -grid % window
        self.attn, self.mlp = WindowAttention(dim, heads, window), Mlp(dim)
        self.local_conv = ConvBN(dim, dim, 3, groups=dim)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        (batch, tokens, dim), grid, window, pad = x.shape, self.grid, self.window, self.padding
        y = x.view(batch, grid, grid, dim)
        if pad:
            y = functional.pad(y, (0, 0, 0, pad, 0, pad))
        side = (grid + pad) // window
        y = y.view(batch, side, window, side, window, dim).transpose(2, 3).reshape(-1, window * window, dim)
        y = self.attn(y).view(batch, side, side, window, window, dim).transpose(2, 3)
        y = y.reshape(batch, side * window, side * window, dim)
        if pad:
            y = y[:, :grid, :grid].contiguous()
        x = x + y.view(batch, tokens, dim)
        x = self.local_conv(x.transpose(1, 2).reshape(batch, dim, grid, grid)).view(batch, dim, tokens)
        x = x.transpose(1, 2)
        out: Tensor = x + self.mlp(x)
        return out


class Stage(nn.Module):
    """Blocks, then the merge where there is one."""

    def __init__(self, blocks: list[nn.Module], downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks, self.downsample = nn.Sequential(*blocks), downsample

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        x = self.blocks(x)
        return x if self.downsample is None else self.downsample(x)


class PatchEmbed(nn.Module):
    """Two pointwise convolutions; LiteMedSAM keeps the full resolution of 256."""

    def __init__(self) -> None:
        super().__init__()
        self.seq = nn.Sequential(ConvBN(3, 32), nn.GELU(), ConvBN(32, 64))

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        out: Tensor = self.seq(x)
        return out


class ImageEncoder(nn.Module):
    """(1, 3, 256, 256) -> (1, 256, 64, 64)."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed()

        def blocks(depth: int, dim: int, heads: int, window: int, grid: int) -> list[nn.Module]:
            return [Block(dim, heads, window, grid) for _ in range(depth)]

        self.layers = nn.Sequential(
            Stage([MBConv(64), MBConv(64)], PatchMerging(64, 128, 2, 256)),
            Stage(blocks(2, 128, 4, 7, 128), PatchMerging(128, 160, 2, 128)),
            Stage(blocks(6, 160, 5, 14, 64), PatchMerging(160, 320, 1, 64)),
            Stage(blocks(2, 320, 10, 7, 64), None),
        )
        self.neck = nn.Sequential(
            nn.Conv2d(320, 256, 1, bias=False),
            LayerNorm2d(256),
            nn.Conv2d(256, 256, 3, padding=1, bias=False),
            LayerNorm2d(256),
        )

    def forward(self, image: Tensor) -> Tensor:  # noqa: D102
        tokens = self.layers(self.patch_embed(image))
        out: Tensor = self.neck(tokens.view(-1, 64, 64, 320).permute(0, 3, 1, 2))
        return out
