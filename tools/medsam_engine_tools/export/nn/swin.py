# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The tiny Swin image encoder of Swin-LiteMedSAM, with the feature maps that its decoder takes beside the embedding.

Papers: Liu et al., Swin Transformer, arXiv 2103.14030; Gao et al., Swin-LiteMedSAM, arXiv 2409.07172. The published
code this agrees with: RuochenGao/Swin_LiteMedSAM models/swin.py. It differs from the first paper: one table of relative
positions for all heads, a depthwise convolution between attention and perceptron, no norm before a merge, and the masks
of the shifted windows are tensors of the checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsam_engine_tools.export.nn.layers import ConvBN, LayerNorm2d, to_map, to_tokens

HEAD_DIM = 32
# What -inf becomes in an exported mask: softmax gives exactly 0 to either, and every precision can hold this one.
MASKED = -1e4


def window_order(grid: int, window: int, shift: int) -> Tensor:
    """(grid^2,) int64: the raster positions of the tokens, window by window, of a map rolled by -shift on both axes."""
    side = grid // window
    rolled = torch.arange(grid * grid).view(grid, grid).roll((-shift, -shift), (0, 1))
    return rolled.view(side, window, side, window).transpose(1, 2).flatten()


def relative_positions(window: int) -> Tensor:
    """(window^2, window^2) int64: the entry of the flattened (2 window - 1)^2 table for key minus query."""
    y, x = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    y, x = y.flatten(), x.flatten()
    dy, dx = y[None, :] - y[:, None], x[None, :] - x[:, None]
    return (dy + window - 1) * (2 * window - 1) + dx + window - 1


class WindowAttention(nn.Module):
    """Attention inside windows of `window`^2 tokens; with `shifted`, of the map rolled by half a window."""

    def __init__(self, dim: int, num_heads: int, window: int, grid: int, shifted: bool) -> None:
        super().__init__()
        inner = HEAD_DIM * num_heads
        self.num_heads, self.window, self.windows, self.shifted = num_heads, window, (grid // window) ** 2, shifted
        if shifted:
            self.upper_lower_mask = nn.Parameter(torch.zeros(window**2, window**2))
            self.left_right_mask = nn.Parameter(torch.zeros(window**2, window**2))
        self.pos_embedding = nn.Parameter(torch.zeros(2 * window - 1, 2 * window - 1))
        self.to_qkv = nn.Linear(dim, 3 * inner, bias=False)
        self.to_out = nn.Linear(inner, dim)
        order = window_order(grid, window, window // 2 if shifted else 0)
        self.order: Tensor
        self.raster: Tensor
        self.position_index: Tensor
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("raster", order.argsort(), persistent=False)
        self.register_buffer("position_index", relative_positions(window), persistent=False)

    def bias(self) -> Tensor:
        """(1 or windows, 1, tokens, tokens): what is added to the scores; a constant of the weights."""
        positions = self.pos_embedding.flatten()[self.position_index]
        if not self.shifted:
            return positions.expand(1, 1, -1, -1)
        # The last row of windows holds the map's two ends in y, the last column those in x: they must not mix.
        side = round(self.windows**0.5)
        last = (torch.arange(side) == side - 1).to(positions.dtype).view(side, 1, 1)
        rows = last * self.upper_lower_mask.clamp(min=MASKED)
        columns = last * self.left_right_mask.clamp(min=MASKED)
        masked: Tensor = positions + rows[:, None] + columns[None]
        return masked.flatten(0, 1).unsqueeze(1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, grid^2, dim), normed -> the same shape. One gather each way both rolls and cuts into windows."""
        windows, tokens, inner = self.windows, self.window**2, self.to_out.in_features
        x = x.index_select(1, self.order)
        heads = (-1, windows, tokens, self.num_heads, HEAD_DIM)
        weights = self.to_qkv.weight.view(3, inner, -1)
        q, k, v = (
            functional.linear(x, weights[i] * scale).view(heads).transpose(2, 3)
            for i, scale in enumerate((HEAD_DIM**-0.5, 1.0, 1.0))
        )
        attention = torch.softmax(q @ k.transpose(-2, -1) + self.bias(), dim=-1)
        attended = (attention @ v).transpose(2, 3).reshape(-1, windows * tokens, inner)
        out: Tensor = self.to_out(attended.index_select(1, self.raster))
        return out


class Feedforward(nn.Module):
    """Two linear layers with GELU between; tensors `net.0.*`, `net.2.*`."""

    def __init__(self, dim: int, expand_ratio: int = 4) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(dim, dim * expand_ratio), nn.GELU(), nn.Linear(dim * expand_ratio, dim))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out


class PreNorm(nn.Module):
    """Norm, then `fn`; tensors `norm.*`, `fn.*`."""

    def __init__(self, dim: int, fn: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fn(self.norm(x))
        return out


class Residual(nn.Module):
    """`fn` added to its input; tensors `fn.*`."""

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.fn(x)
        return out


class SwinBlock(nn.Module):
    """Window attention, depthwise 3x3 convolution (without a residual), perceptron."""

    def __init__(self, dim: int, num_heads: int, window: int, grid: int, shifted: bool) -> None:
        super().__init__()
        self.grid = grid
        self.attention_block = Residual(PreNorm(dim, WindowAttention(dim, num_heads, window, grid, shifted)))
        self.local_conv = ConvBN(dim, dim, 3, groups=dim)
        self.mlp_block = Residual(PreNorm(dim, Feedforward(dim)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, grid^2, dim) -> the same shape."""
        x = self.attention_block(x)
        out: Tensor = self.mlp_block(to_tokens(self.local_conv(to_map(x, self.grid))))
        return out


class PatchMerging(nn.Module):
    """A linear layer on stride x stride patches, which is a convolution; tensors `linear.*`.

    The patch is flattened as torch's Unfold does: channel, row, column.
    """

    def __init__(self, dim: int, out_dim: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.linear = nn.Linear(dim * stride**2, out_dim)

    def kernel(self) -> Tensor:
        """(out_dim, dim, stride, stride)."""
        return self.linear.weight.view(self.linear.out_features, -1, self.stride, self.stride)

    def forward(self, x: Tensor, grid: int) -> Tensor:
        """(B, grid^2, dim) -> (B, (grid / stride)^2, out_dim)."""
        if self.stride == 1:
            out: Tensor = self.linear(x)
            return out
        return to_tokens(functional.conv2d(to_map(x, grid), self.kernel(), self.linear.bias, self.stride))


class Stage(nn.Module):
    """The merge, then pairs of a plain and a shifted block. `in_grid` is the side of the map before the merge."""

    def __init__(
        self, dim: int, out_dim: int, depth: int, stride: int, num_heads: int, window: int, in_grid: int
    ) -> None:
        super().__init__()
        self.in_grid, self.grid = in_grid, in_grid // stride
        self.downsample = PatchMerging(dim, out_dim, stride)
        self.blocks = nn.ModuleList(
            nn.ModuleList(SwinBlock(out_dim, num_heads, window, self.grid, shifted) for shifted in (False, True))
            for _ in range(depth // 2)
        )

    def attend(self, x: Tensor) -> Tensor:
        """(B, grid^2, out_dim), merged -> the same shape."""
        for pair in self.blocks:
            assert isinstance(pair, nn.ModuleList)
            for block in pair:
                x = block(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_grid^2, dim) -> (B, grid^2, out_dim)."""
        return self.attend(self.downsample(x, self.in_grid))


class PatchEmbed(nn.Module):
    """Two 1x1 convolutions at full resolution; tensors `seq.0.*`, `seq.2.*`."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(ConvBN(3, dim // 2, 1), nn.GELU(), ConvBN(dim // 2, dim, 1))

    def merged(self, image: Tensor, merge: PatchMerging) -> Tensor:
        """(B, 3, S, S) -> (B, (S / stride)^2, out_dim): embedded and merged.

        Nothing lies between the second convolution and the merge, so they are one convolution, and the largest map of
        the network, S x S x dim, is never made.
        """
        second = self.seq[2]
        conv = second.fused() if isinstance(second, ConvBN) else second
        assert isinstance(conv, nn.Conv2d) and conv.bias is not None
        merging = merge.kernel()
        kernel = torch.einsum("ocyx,ci->oiyx", merging, conv.weight.flatten(1))
        bias = merge.linear.bias + merging.sum((2, 3)) @ conv.bias
        return to_tokens(functional.conv2d(functional.gelu(self.seq[0](image)), kernel, bias, merge.stride))


class SwinTransformer(nn.Module):
    """The image encoder: (B, 3, S, S) f32 -> embedding (B, out_channels, grid, grid) f32 and the skip features."""

    def __init__(
        self,
        input_size: int = 256,
        dims: Sequence[int] = (64, 128, 160, 320, 320),
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (2, 4, 5, 10),
        strides: Sequence[int] = (2, 2, 1, 1),
        window: int = 8,
        out_channels: int = 256,
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(dims[0])
        grid = input_size
        for i, (depth, heads, stride) in enumerate(zip(depths, num_heads, strides, strict=True)):
            stage = Stage(dims[i], dims[i + 1], depth, stride, heads, window, grid)
            self.add_module(f"stage{i + 1}", stage)
            grid = stage.grid
        self.grid = grid
        self.neck = nn.Sequential(
            nn.Conv2d(dims[-1], out_channels, 1, bias=False),
            LayerNorm2d(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            LayerNorm2d(out_channels),
        )

    def stages(self) -> list[Stage]:
        """In order of depth."""
        return [child for child in self.children() if isinstance(child, Stage)]

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The embedding, and what each stage gives: (B, 128, 2 grid, 2 grid), then 160, 320, 320 channels at grid."""
        first, *others = self.stages()
        x = first.attend(self.patch_embed.merged(image, first.downsample))
        maps = [to_map(x, first.grid)]
        for stage in others:
            x = stage(x)
            maps.append(to_map(x, stage.grid))
        return self.neck(maps[-1]), maps
