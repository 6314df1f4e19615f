# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""SAM's two-way transformer (segment_anything/modeling/transformer.py).

The image side keeps batch 1 until the first attention that makes it depend on the prompt, so what all the prompts of an
image share is computed once; the published code repeats it for every prompt first.

A prompt has some 7 tokens, the image 4096. So the attentions between them never project the image: the projections'
weights are multiplied into the few tokens instead, as matrix products may be in any order. For a box that is 2.0
instead of 3.5 GFLOP, and no image-sized tensor is split into heads. The values are the same to rounding.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Multi-head attention whose inner width is `dim / downsample`."""

    def __init__(self, dim: int, num_heads: int, downsample: int = 1) -> None:
        super().__init__()
        inner = dim // downsample
        self.num_heads, self.head_dim = num_heads, inner // num_heads
        self.q_proj = nn.Linear(dim, inner)
        self.k_proj = nn.Linear(dim, inner)
        self.v_proj = nn.Linear(dim, inner)
        self.out_proj = nn.Linear(inner, dim)

    def heads(self, x: Tensor) -> Tensor:
        """(batch, tokens, inner) -> (batch, heads, tokens, head_dim)."""
        batch, tokens, _ = x.shape
        return x.view(batch, tokens, self.num_heads, self.head_dim).transpose(1, 2)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        # Scaling q rather than the scores touches the smaller tensor, and moves with the head size alone.
        query = self.heads(self.q_proj(q) * self.head_dim**-0.5)
        scores = query @ self.heads(self.k_proj(k)).transpose(-2, -1)
        attended = scores.softmax(dim=-1) @ self.heads(self.v_proj(v))
        out: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return out


def by_head(projection: nn.Linear, num_heads: int) -> Tensor:
    """The weight (inner, dim) of a q, k or v projection as (heads, head_dim, dim)."""
    return projection.weight.view(num_heads, -1, projection.in_features)


class TokenToImageAttention(Attention):
    """The prompts' tokens ask the image; the key and value projections act on the tokens."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Takes q (N, T, dim) and k, v (1 or N, hw, dim) -> (N, T, dim)."""
        prompts, tokens, dim = q.shape
        # k_proj's bias adds one number to all scores of a token: the softmax takes it out again.
        query = self.heads(self.q_proj(q) * self.head_dim**-0.5) @ by_head(self.k_proj, self.num_heads)
        query = query.reshape(k.shape[0], -1, dim)  # one image for all: all prompts in one matrix
        scores = (query @ k.transpose(-2, -1)).softmax(dim=-1)
        # Transposed, since OpenVINO's fused attention runs a few long rows on one core.
        mixed = v.transpose(-2, -1) @ scores.transpose(-2, -1)
        if k.shape[0] == 1:
            mixed = mixed.view(dim, prompts, self.num_heads, tokens).permute(1, 2, 3, 0)
        else:
            mixed = mixed.view(prompts, dim, self.num_heads, tokens).permute(0, 2, 3, 1)
        attended = mixed @ by_head(self.v_proj, self.num_heads).transpose(-2, -1)
        # v_proj's bias passes unchanged: a row of scores sums to 1.
        out: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2) + self.v_proj.bias)
        return out


class ImageToTokenAttention(Attention):
    """The image asks the prompts' tokens; the query and output projections act on the tokens."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Takes q (1 or N, hw, dim) and k, v (N, T, dim) -> (N, hw, dim)."""
        prompts, tokens, dim = k.shape
        images, count, _ = q.shape
        key = self.heads(self.k_proj(k) * self.head_dim**-0.5)
        bias = key @ self.q_proj.bias.view(self.num_heads, -1, 1)
        key = (key @ by_head(self.q_proj, self.num_heads)).reshape(images, -1, dim)
        scores = (key @ q.transpose(-2, -1)).view(prompts, self.num_heads, tokens, count) + bias
        weight = self.out_proj.weight.t().reshape(self.num_heads, self.head_dim, dim)
        # The scores of each of the heads sum to 1, so an equal part of the bias in every value gives the whole of it.
        value = self.heads(self.v_proj(v)) @ weight + self.out_proj.bias / self.num_heads
        out: Tensor = scores.softmax(dim=2).flatten(1, 2).transpose(-2, -1) @ value.flatten(1, 2)
        return out


class Feedforward(nn.Module):
    """Two linear layers with ReLU between; tensors `lin1.*`, `lin2.*`."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(dim, hidden_dim)
        self.lin2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.lin2(functional.relu(self.lin1(x)))
        return out


class TwoWayBlock(nn.Module):
    """Tokens attend to themselves, then to the image; a perceptron; then the image attends to the tokens."""

    def __init__(self, dim: int, num_heads: int, hidden_dim: int, downsample: int, is_first: bool) -> None:
        super().__init__()
        self.is_first = is_first
        self.self_attn = Attention(dim, num_heads)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = TokenToImageAttention(dim, num_heads, downsample)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Feedforward(dim, hidden_dim)
        self.norm3 = nn.LayerNorm(dim)
        self.norm4 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = ImageToTokenAttention(dim, num_heads, downsample)

    def forward(self, tokens: Tensor, image: Tensor, token_pe: Tensor, image_pe: Tensor) -> tuple[Tensor, Tensor]:
        if self.is_first:
            # The tokens still equal their positional code here: no code is added and there is no residual.
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            query = tokens + token_pe
            tokens = tokens + self.self_attn(query, query, tokens)
        tokens = self.norm1(tokens)
        image_key = image + image_pe
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_pe, image_key, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(image_key, tokens + token_pe, tokens))
        return tokens, image


class TwoWayTransformer(nn.Module):
    """`depth` two-way blocks and a last attention of the tokens to the image."""

    def __init__(self, dim: int = 256, depth: int = 2, num_heads: int = 8, hidden_dim: int = 2048) -> None:
        super().__init__()
        downsample = 2
        self.layers = nn.ModuleList(
            TwoWayBlock(dim, num_heads, hidden_dim, downsample, is_first=i == 0) for i in range(depth)
        )
        self.final_attn_token_to_image = TokenToImageAttention(dim, num_heads, downsample)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor, image: Tensor, image_pe: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T, dim), (1 or N, hw, dim), (hw, dim) -> (N, T, dim), (N, hw, dim)."""
        token_pe = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_pe, image_pe)
        final = self.final_attn_token_to_image(tokens + token_pe, image + image_pe, image)
        return self.norm_final_attn(tokens + final), image
