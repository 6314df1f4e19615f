# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""LiteMedSAM as a straight port takes it to OpenVINO: the published forward passes through torch's plain ONNX export.

    python -m benchmarks.baselines.export_plain CHECKPOINT FOLDER

Writes FOLDER/encoder.onnx (one image) and FOLDER/decoder.onnx (one box: its inputs `image_embedding` and `boxes`, its
output `low_res_logits`), as the challenge's OpenVINO pipelines have them, with fixed shapes: the case that favours the
baseline. The layers and weights are medsam_engine_tools'; what is overridden below puts the published order of
operations back: one qkv projection and the output projection on padded windows (tiny_vit_sam.py), the image side
repeated for every prompt, transposed convolutions, all four masks (segment_anything/modeling).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsam_engine_tools import checkpoint
from medsam_engine_tools.families import litemedsam
from medsam_engine_tools.nn.layers import LayerNorm2d
from medsam_engine_tools.nn.mask_decoder import MaskDecoder
from medsam_engine_tools.nn.tiny_vit import TinyVitBlock, WindowAttention
from medsam_engine_tools.nn.transformer import Attention, ImageToTokenAttention, TokenToImageAttention
from medsam_engine_tools.onnx_export import quiet_torch
from medsam_engine_tools.sam import Sam

OPSET = 17
BOX_LABELS = torch.tensor([[2, 3]], dtype=torch.int32)


class PlainLayerNorm2d(LayerNorm2d):
    """segment_anything/modeling/common.py: mean and variance over the channel axis of a feature map."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt(variance + self.eps)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class PlainWindowAttention(WindowAttention):
    """tiny_vit_sam.py:Attention: one interleaved qkv projection; the output projection inside."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        windows, tokens, dim = x.shape
        head_dim = dim // self.num_heads
        qkv = self.qkv(self.norm(x)).view(windows, tokens, self.num_heads, -1)
        q, k, v = (t.permute(0, 2, 1, 3) for t in qkv.split([head_dim] * 3, dim=3))
        scores = (q @ k.transpose(-2, -1)) * head_dim**-0.5 + self.attention_biases[:, self.bias_index]
        x = (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(windows, tokens, dim)
        out: Tensor = self.proj(x)
        return out


class PlainBlock(TinyVitBlock):
    """tiny_vit_sam.py:TinyViTBlock."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        batch, tokens, dim = x.shape
        grid, window = self.grid, self.window
        y = x.view(batch, grid, grid, dim)
        if self.padding:
            y = functional.pad(y, (0, 0, 0, self.padding, 0, self.padding))
        side = (grid + self.padding) // window
        y = y.view(batch, side, window, side, window, dim).transpose(2, 3).reshape(-1, window * window, dim)
        y = self.attn(y)
        y = y.view(batch, side, side, window, window, dim).transpose(2, 3).reshape(batch, side * window, -1, dim)
        if self.padding:
            y = y[:, :grid, :grid].contiguous()
        x = x + y.view(batch, tokens, dim)
        x = self.local_conv(x.transpose(1, 2).reshape(batch, dim, grid, grid))
        x = x.view(batch, dim, tokens).transpose(1, 2)
        out: Tensor = x + self.mlp(x)
        return out


class PlainAttention(Attention):
    """segment_anything/modeling/transformer.py:Attention: the scores are divided, not the query."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # noqa: D102
        query, key, value = self.heads(self.q_proj(q)), self.heads(self.k_proj(k)), self.heads(self.v_proj(v))
        scores = (query @ key.permute(0, 1, 3, 2) / self.head_dim**0.5).softmax(dim=-1)
        attended = (scores @ value).transpose(1, 2)
        out: Tensor = self.out_proj(attended.reshape(attended.shape[0], attended.shape[1], -1))
        return out


class PlainDecoder(nn.Module):
    """Prompt encoder and mask decoder as segment_anything/modeling/mask_decoder.py:predict_masks runs them."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.prompt_encoder, self.mask_decoder = sam.prompt_encoder, sam.mask_decoder

    def forward(self, image_embedding: Tensor, boxes: Tensor) -> Tensor:
        """(1, 256, g, g), (1, 4) xyxy in the model's pixels -> low_res_logits (1, 1, 4 g, 4 g)."""
        prompts, decoder = self.prompt_encoder, self.mask_decoder
        assert isinstance(decoder, MaskDecoder)
        sparse = prompts.tokens(boxes.view(1, 2, 2), BOX_LABELS)
        own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        tokens = torch.cat([own.unsqueeze(0).expand(1, -1, -1), sparse], dim=1)
        source = torch.repeat_interleave(image_embedding, tokens.shape[0], dim=0)
        source = source + prompts.no_mask_embed.weight.reshape(1, -1, 1, 1).expand_as(source)
        tokens, image = decoder.transformer(tokens, source.flatten(2).permute(0, 2, 1), prompts.dense_positions())
        upscaled = decoder.output_upscaling(image.transpose(1, 2).view(source.shape)).flatten(2)
        masks = decoder.kernels(tokens[:, 1 : 1 + decoder.num_masks]) @ upscaled
        decoder.iou_prediction_head(tokens[:, 0])
        side = 4 * source.shape[-1]
        out: Tensor = masks.view(1, -1, side, side)[:, :1]
        return out


def make_plain(module: nn.Module) -> None:
    """Gives every layer below `module` that medsam_engine_tools computes in another order its published forward."""
    plain = {
        LayerNorm2d: PlainLayerNorm2d,
        WindowAttention: PlainWindowAttention,
        TinyVitBlock: PlainBlock,
        Attention: PlainAttention,
        TokenToImageAttention: PlainAttention,
        ImageToTokenAttention: PlainAttention,
    }
    for layer in module.modules():
        layer.__class__ = plain.get(type(layer), type(layer))


def plain_model(path: Path) -> Sam:
    """LiteMedSAM with the weights of the released checkpoint `path` and the published forward passes."""
    source = checkpoint.read(path)
    model = litemedsam.build()
    checkpoint.load_strict(model, source.tensors, "litemedsam")
    make_plain(model)
    return model.eval().requires_grad_(False)


def export(model: Sam, folder: Path) -> None:
    """Writes encoder.onnx and decoder.onnx into `folder`."""
    image = torch.zeros(1, 3, litemedsam.INPUT_SIZE, litemedsam.INPUT_SIZE)
    box = torch.tensor([[50.0, 75.0, 175.0, 225.0]])
    embedding = model.image_encoder(image)
    folder.mkdir(parents=True, exist_ok=True)
    graphs = (
        ("encoder", model.image_encoder, (image,), ["image"], ["image_embedding"]),
        ("decoder", PlainDecoder(model), (embedding, box), ["image_embedding", "boxes"], ["low_res_logits"]),
    )
    for name, module, example, inputs, outputs in graphs:
        with quiet_torch():
            torch.onnx.export(
                module.eval(),
                example,
                str(folder / f"{name}.onnx"),
                dynamo=False,
                opset_version=OPSET,
                input_names=inputs,
                output_names=outputs,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    export(plain_model(arguments.checkpoint), arguments.folder)


if __name__ == "__main__":
    main()
