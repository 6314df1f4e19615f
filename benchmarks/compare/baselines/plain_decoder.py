# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""SAM's prompt encoder and mask decoder for one box, in the published order of operations (segment_anything/modeling).

All four masks are computed and the first is given, as the published code does with multimask_output=False.
"""

import math
from itertools import pairwise

import torch
from benchmarks.compare.baselines.plain_encoder import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional

DIM, GRID, FRAME = 256, 64, 256


class Mlp(nn.Module):
    """Linear layers with ReLU between them (mask_decoder.py:MLP)."""

    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(dims))

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        for i, layer in enumerate(self.layers):
            x = layer(x) if i == len(self.layers) - 1 else functional.relu(layer(x))
        return x


class Attention(nn.Module):
    """transformer.py:Attention, eight heads, `inner` channels."""

    def __init__(self, inner: int) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(DIM, inner) for _ in range(3))
        self.out_proj = nn.Linear(inner, DIM)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # noqa: D102
        q, k, v = (self._heads(x) for x in (self.q_proj(q), self.k_proj(k), self.v_proj(v)))
        scores = torch.softmax(q @ k.permute(0, 1, 3, 2) / math.sqrt(q.shape[-1]), dim=-1)
        out: Tensor = self.out_proj((scores @ v).transpose(1, 2).flatten(2))
        return out

    @staticmethod
    def _heads(x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], x.shape[1], 8, x.shape[2] // 8).transpose(1, 2)


class Perceptron(nn.Module):
    """common.py:MLPBlock with ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(DIM, 2048), nn.Linear(2048, DIM)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        out: Tensor = self.lin2(functional.relu(self.lin1(x)))
        return out


class TwoWayBlock(nn.Module):
    """transformer.py:TwoWayAttentionBlock."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        self.first, self.mlp = first, Perceptron()
        self.self_attn = Attention(DIM)
        self.cross_attn_token_to_image, self.cross_attn_image_to_token = Attention(DIM // 2), Attention(DIM // 2)
        self.norm1, self.norm2, self.norm3, self.norm4 = (nn.LayerNorm(DIM) for _ in range(4))

    def forward(self, queries: Tensor, keys: Tensor, query_pe: Tensor, key_pe: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        if self.first:
            queries = self.self_attn(queries, queries, queries)
        else:
            q = queries + query_pe
            queries = queries + self.self_attn(q, q, queries)
        queries = self.norm1(queries)
        queries = self.norm2(queries + self.cross_attn_token_to_image(queries + query_pe, keys + key_pe, keys))
        queries = self.norm3(queries + self.mlp(queries))
        keys = self.norm4(keys + self.cross_attn_image_to_token(keys + key_pe, queries + query_pe, queries))
        return queries, keys


class Transformer(nn.Module):
    """transformer.py:TwoWayTransformer of depth 2."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([TwoWayBlock(first=True), TwoWayBlock(first=False)])
        self.final_attn_token_to_image, self.norm_final_attn = Attention(DIM // 2), nn.LayerNorm(DIM)

    def forward(self, image: Tensor, image_pe: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        keys, key_pe = (x.flatten(2).permute(0, 2, 1) for x in (image, image_pe))
        queries = tokens
        for layer in self.layers:
            queries, keys = layer(queries, keys, tokens, key_pe)
        attended = self.final_attn_token_to_image(queries + tokens, keys + key_pe, keys)
        return self.norm_final_attn(queries + attended), keys


class PositionalEncoding(nn.Module):
    """prompt_encoder.py:PositionEmbeddingRandom."""

    def __init__(self) -> None:
        super().__init__()
        self.positional_encoding_gaussian_matrix: Tensor
        self.register_buffer("positional_encoding_gaussian_matrix", torch.zeros(2, DIM // 2))

    def forward(self, xy: Tensor) -> Tensor:
        """(..., 2) in [0, 1] -> (..., 256)."""
        phase = 2 * math.pi * ((2 * xy - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([phase.sin(), phase.cos()], dim=-1)


class PromptEncoder(nn.Module):
    """A box to two tokens; the weights for points and masks are there for the checkpoint only."""

    def __init__(self) -> None:
        super().__init__()
        self.pe_layer = PositionalEncoding()
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, DIM) for _ in range(4))
        self.not_a_point_embed, self.no_mask_embed = nn.Embedding(1, DIM), nn.Embedding(1, DIM)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, 4, 2, 2), LayerNorm2d(4), nn.GELU(),
            nn.Conv2d(4, 16, 2, 2), LayerNorm2d(16), nn.GELU(), nn.Conv2d(16, DIM, 1),
        )  # fmt: skip

    def forward(self, boxes: Tensor) -> Tensor:
        """(1, 4) xyxy in the 256 frame -> (1, 2, 256)."""
        corners = self.pe_layer((boxes.reshape(-1, 2, 2) + 0.5) / FRAME)
        _, _, top_left, bottom_right = (embedding.get_parameter("weight") for embedding in self.point_embeddings)
        out: Tensor = corners + torch.cat([top_left, bottom_right])
        return out

    def dense_positions(self) -> Tensor:
        """(1, 256, 64, 64), made anew for every prompt as the script does."""
        ones = torch.ones(GRID, GRID)
        y, x = ones.cumsum(0) - 0.5, ones.cumsum(1) - 0.5
        encoding: Tensor = self.pe_layer(torch.stack([x / GRID, y / GRID], dim=-1))
        return encoding.permute(2, 0, 1).unsqueeze(0)


class MaskDecoder(nn.Module):
    """mask_decoder.py:MaskDecoder for one prompt."""

    def __init__(self) -> None:
        super().__init__()
        self.transformer = Transformer()
        self.iou_token, self.mask_tokens = nn.Embedding(1, DIM), nn.Embedding(4, DIM)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(DIM, 64, 2, 2), LayerNorm2d(64), nn.GELU(), nn.ConvTranspose2d(64, 32, 2, 2), nn.GELU()
        )
        self.output_hypernetworks_mlps = nn.ModuleList(Mlp(DIM, DIM, DIM, 32) for _ in range(4))
        self.iou_prediction_head = Mlp(DIM, DIM, DIM, 4)

    def forward(self, embedding: Tensor, image_pe: Tensor, sparse: Tensor, dense: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight]).unsqueeze(0)
        tokens = torch.cat([own.expand(sparse.shape[0], -1, -1), sparse], dim=1)
        source = torch.repeat_interleave(embedding, tokens.shape[0], dim=0) + dense
        queries, image = self.transformer(source, torch.repeat_interleave(image_pe, tokens.shape[0], dim=0), tokens)
        upscaled = self.output_upscaling(image.transpose(1, 2).view(source.shape))
        mlps = enumerate(self.output_hypernetworks_mlps)
        kernels = torch.stack([mlp(queries[:, 1 + i]) for i, mlp in mlps], dim=1)
        masks = (kernels @ upscaled.flatten(2)).view(tokens.shape[0], -1, *upscaled.shape[2:])
        return masks[:, :1], self.iou_prediction_head(queries[:, 0])[:, :1]
