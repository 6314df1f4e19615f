// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// SAM's decoder by its formulas: loops, double precision, nothing folded.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "support/sam_checkpoint.hpp"

namespace medsam::testing {
namespace {

constexpr std::int64_t kDim = 256, kHeads = 8;

/// Rows of numbers.
struct Matrix {
  std::int64_t rows = 0, columns = 0;
  std::vector<double> values;
  Matrix(std::int64_t r, std::int64_t c) : rows(r), columns(c), values(static_cast<std::size_t>(r * c)) {}
  double& at(std::int64_t r, std::int64_t c) { return values[static_cast<std::size_t>(r * columns + c)]; }
  [[nodiscard]] double at(std::int64_t r, std::int64_t c) const {
    return values[static_cast<std::size_t>(r * columns + c)];
  }
};

Matrix sum(Matrix a, const Matrix& b) {
  for (std::size_t i = 0; i < a.values.size(); ++i) a.values[i] += b.values[i];
  return a;
}

double gelu(double x) { return x * 0.5 * std::erfc(-x / std::numbers::sqrt2); }
/// A picture of channels: (channels, side, side).
struct Picture {
  std::int64_t channels, side;
  std::vector<double> values;
  Picture(std::int64_t c, std::int64_t s) : channels(c), side(s), values(static_cast<std::size_t>(c * s * s)) {}
  [[nodiscard]] std::size_t index(std::int64_t c, std::int64_t y, std::int64_t x) const {
    return static_cast<std::size_t>((c * side + y) * side + x);
  }
  double& at(std::int64_t c, std::int64_t y, std::int64_t x) { return values[index(c, y, x)]; }
  [[nodiscard]] double at(std::int64_t c, std::int64_t y, std::int64_t x) const { return values[index(c, y, x)]; }
};

class Reference {
 public:
  explicit Reference(const SamCheckpoint& checkpoint) : checkpoint_(checkpoint) {}

  SamAnswer decode(const std::vector<float>& embedding, const SamPrompts& prompts) const {
    SamAnswer answer;
    for (std::int64_t i = 0; i < prompts.prompts; ++i) decode_one(embedding, prompts.only(i), answer);
    return answer;
  }

 private:
  [[nodiscard]] double weight(const std::string& name, std::int64_t i) const {
    return checkpoint_.at(name).values[static_cast<std::size_t>(i)];
  }

  [[nodiscard]] Matrix linear(const std::string& name, const Matrix& x) const {
    const SamTensor& w = checkpoint_.at(name + ".weight");
    Matrix out(x.rows, w.shape[0]);
    for (std::int64_t r = 0; r < x.rows; ++r) {
      for (std::int64_t o = 0; o < out.columns; ++o) {
        const double* in = &x.values[static_cast<std::size_t>(r * x.columns)];
        const float* row = &w.values[static_cast<std::size_t>(o * x.columns)];
        double sums[4] = {weight(name + ".bias", o), 0, 0, 0};
        for (std::int64_t i = 0; i < x.columns; i += 4) {
          for (std::int64_t k = 0; k < 4; ++k) sums[k] += in[i + k] * row[i + k];
        }
        out.at(r, o) = sums[0] + sums[1] + sums[2] + sums[3];
      }
    }
    return out;
  }

  [[nodiscard]] Matrix normalized(const std::string& name, Matrix x, double epsilon) const {
    const auto count = static_cast<double>(x.columns);
    for (std::int64_t r = 0; r < x.rows; ++r) {
      double mean = 0, variance = 0;
      for (std::int64_t c = 0; c < x.columns; ++c) mean += x.at(r, c) / count;
      for (std::int64_t c = 0; c < x.columns; ++c) variance += std::pow(x.at(r, c) - mean, 2) / count;
      for (std::int64_t c = 0; c < x.columns; ++c) {
        const double plain = (x.at(r, c) - mean) / std::sqrt(variance + epsilon);
        x.at(r, c) = plain * weight(name + ".weight", c) + weight(name + ".bias", c);
      }
    }
    return x;
  }
  [[nodiscard]] Matrix layer_norm(const std::string& name, const Matrix& x) const {
    return normalized(name, x, checkpoint_.sizes.epsilon);
  }
  /// SAM's LayerNorm2d over the channels of each pixel, then GELU.
  [[nodiscard]] Picture normalized_gelu(const std::string& name, Picture x) const {
    Matrix pixel(1, x.channels);
    for (std::int64_t y = 0; y < x.side; ++y) {
      for (std::int64_t column = 0; column < x.side; ++column) {
        for (std::int64_t c = 0; c < x.channels; ++c) pixel.at(0, c) = x.at(c, y, column);
        const Matrix out = normalized(name, pixel, 1e-6);
        for (std::int64_t c = 0; c < x.channels; ++c) x.at(c, y, column) = gelu(out.at(0, c));
      }
    }
    return x;
  }

  /// Attention.forward of segment_anything.
  [[nodiscard]] Matrix attention(const std::string& name, const Matrix& q, const Matrix& k, const Matrix& v) const {
    const Matrix queries = linear(name + ".q_proj", q), keys = linear(name + ".k_proj", k);
    const Matrix values = linear(name + ".v_proj", v);
    const std::int64_t width = queries.columns / kHeads;
    Matrix attended(q.rows, queries.columns);
    std::vector<double> scores(static_cast<std::size_t>(k.rows));
    for (std::int64_t r = 0; r < q.rows; ++r) {
      for (std::int64_t head = 0; head < kHeads; ++head) {
        for (std::int64_t j = 0; j < k.rows; ++j) {
          double score = 0;
          for (std::int64_t i = head * width; i < (head + 1) * width; ++i) score += queries.at(r, i) * keys.at(j, i);
          scores[static_cast<std::size_t>(j)] = score / std::sqrt(static_cast<double>(width));
        }
        const double largest = *std::max_element(scores.begin(), scores.end());
        double total = 0;
        for (double& score : scores) total += score = std::exp(score - largest);
        for (std::int64_t j = 0; j < k.rows; ++j) {
          const double share = scores[static_cast<std::size_t>(j)] / total;
          for (std::int64_t i = head * width; i < (head + 1) * width; ++i) attended.at(r, i) += share * values.at(j, i);
        }
      }
    }
    return linear(name + ".out_proj", attended);
  }

  [[nodiscard]] Matrix perceptron(const std::string& name, Matrix x) const {
    for (int i = 0; i < 3; ++i) {
      x = linear(name + ".layers." + std::to_string(i), x);
      if (i < 2) relu(x);
    }
    return x;
  }
  static void relu(Matrix& x) {
    for (double& value : x.values) value = std::max(value, 0.0);
  }

  /// PositionEmbeddingRandom of (x, y) in [0, 1].
  void position(double x, double y, Matrix& out, std::int64_t row) const {
    const std::string gaussian = "pe_layer.positional_encoding_gaussian_matrix";
    for (std::int64_t c = 0; c < kDim / 2; ++c) {
      const double phase =
          2 * std::numbers::pi * ((2 * x - 1) * weight(gaussian, c) + (2 * y - 1) * weight(gaussian, kDim / 2 + c));
      out.at(row, c) = std::sin(phase);
      out.at(row, kDim / 2 + c) = std::cos(phase);
    }
  }

  [[nodiscard]] Matrix tokens_of(const SamPrompts& prompt) const {
    Matrix tokens(5 + prompt.tokens, kDim);
    const double shift = std::string(checkpoint_.sizes.shift) == "0" ? 0 : 0.5;
    const auto frame = static_cast<double>(checkpoint_.sizes.frame);
    for (std::int64_t c = 0; c < kDim; ++c) {
      tokens.at(0, c) = weight("iou_token.weight", c);
      for (std::int64_t m = 0; m < 4; ++m) tokens.at(1 + m, c) = weight("mask_tokens.weight", m * kDim + c);
    }
    for (std::int64_t t = 0; t < prompt.tokens; ++t) {
      const std::int32_t label = prompt.labels[static_cast<std::size_t>(t)];
      const float* xy = &prompt.coords[static_cast<std::size_t>(2 * t)];
      if (label >= 0) position((xy[0] + shift) / frame, (xy[1] + shift) / frame, tokens, 5 + t);
      const std::string learned =
          label < 0 ? "not_a_point_embed.weight" : "point_embeddings." + std::to_string(label) + ".weight";
      for (std::int64_t c = 0; c < kDim; ++c) tokens.at(5 + t, c) += weight(learned, c);
    }
    return tokens;
  }

  /// Conv2d with a kernel as large as its stride.
  [[nodiscard]] Picture convolve(const std::string& name, const Picture& x) const {
    const SamTensor& w = checkpoint_.at(name + ".weight");
    const std::int64_t out = w.shape[0], in = w.shape[1], kernel = w.shape[2];
    Picture y(out, x.side / kernel);
    for (std::int64_t o = 0; o < out; ++o) {
      for (std::int64_t r = 0; r < y.side; ++r) {
        for (std::int64_t c = 0; c < y.side; ++c) {
          double sum = weight(name + ".bias", o);
          for (std::int64_t i = 0; i < in * kernel * kernel; ++i) {
            const std::int64_t ky = i / kernel % kernel, kx = i % kernel;
            sum += w.values[static_cast<std::size_t>(o * in * kernel * kernel + i)] *
                   x.at(i / (kernel * kernel), kernel * r + ky, kernel * c + kx);
          }
          y.at(o, r, c) = sum;
        }
      }
    }
    return y;
  }

  /// ConvTranspose2d of kernel 2 and stride 2.
  [[nodiscard]] Picture transpose_convolve(const std::string& name, const Picture& x) const {
    const SamTensor& w = checkpoint_.at(name + ".weight");
    const std::int64_t in = w.shape[0], out = w.shape[1];
    Picture y(out, 2 * x.side);
    for (std::int64_t o = 0; o < out; ++o) {
      for (std::int64_t r = 0; r < y.side; ++r) {
        for (std::int64_t c = 0; c < y.side; ++c) {
          double sum = weight(name + ".bias", o);
          for (std::int64_t i = 0; i < in; ++i) {
            sum += x.at(i, r / 2, c / 2) * w.values[static_cast<std::size_t>(((i * out + o) * 2 + r % 2) * 2 + c % 2)];
          }
          y.at(o, r, c) = sum;
        }
      }
    }
    return y;
  }

  [[nodiscard]] Matrix image_of(const std::vector<float>& embedding, const SamPrompts& prompt) const {
    const std::int64_t grid = checkpoint_.sizes.grid, count = grid * grid;
    Picture dense(kDim, grid);
    if (prompt.mask_input.empty()) {
      for (std::int64_t i = 0; i < kDim * count; ++i) {
        dense.values[static_cast<std::size_t>(i)] = weight("no_mask_embed.weight", i / count);
      }
    } else {
      Picture mask(1, 4 * grid);
      mask.values.assign(prompt.mask_input.begin(), prompt.mask_input.end());
      mask = normalized_gelu("mask_downscaling.1", convolve("mask_downscaling.0", mask));
      mask = normalized_gelu("mask_downscaling.4", convolve("mask_downscaling.3", mask));
      dense = convolve("mask_downscaling.6", mask);
    }
    Matrix image(count, kDim);
    for (std::int64_t i = 0; i < count * kDim; ++i) {
      const auto at = static_cast<std::size_t>(i % kDim * count + i / kDim);
      image.values[static_cast<std::size_t>(i)] = embedding[at] + dense.values[at];
    }
    return image;
  }

  void transform(Matrix& tokens, Matrix& image, const Matrix& image_pe) const {
    const Matrix token_pe = tokens;
    for (int i = 0; i < 2; ++i) {
      const std::string name = "transformer.layers." + std::to_string(i);
      if (i == 0) {
        tokens = attention(name + ".self_attn", tokens, tokens, tokens);
      } else {
        const Matrix q = sum(tokens, token_pe);
        tokens = sum(tokens, attention(name + ".self_attn", q, q, tokens));
      }
      tokens = layer_norm(name + ".norm1", tokens);
      const Matrix asked =
          attention(name + ".cross_attn_token_to_image", sum(tokens, token_pe), sum(image, image_pe), image);
      tokens = layer_norm(name + ".norm2", sum(tokens, asked));
      Matrix hidden = linear(name + ".mlp.lin1", tokens);
      relu(hidden);
      tokens = layer_norm(name + ".norm3", sum(tokens, linear(name + ".mlp.lin2", hidden)));
      const Matrix told =
          attention(name + ".cross_attn_image_to_token", sum(image, image_pe), sum(tokens, token_pe), tokens);
      image = layer_norm(name + ".norm4", sum(image, told));
    }
    const Matrix last =
        attention("transformer.final_attn_token_to_image", sum(tokens, token_pe), sum(image, image_pe), image);
    tokens = layer_norm("transformer.norm_final_attn", sum(tokens, last));
  }

  void decode_one(const std::vector<float>& embedding, const SamPrompts& prompt, SamAnswer& answer) const {
    const std::int64_t grid = checkpoint_.sizes.grid;
    Matrix tokens = tokens_of(prompt), image = image_of(embedding, prompt), image_pe(grid * grid, kDim);
    const auto cells = static_cast<double>(grid);
    for (std::int64_t i = 0; i < grid * grid; ++i) {
      const auto y = static_cast<double>(i / grid), x = static_cast<double>(i % grid);
      position((x + 0.5) / cells, (y + 0.5) / cells, image_pe, i);
    }
    transform(tokens, image, image_pe);
    Picture picture(kDim, grid);
    for (std::int64_t i = 0; i < grid * grid * kDim; ++i) {
      picture.values[static_cast<std::size_t>(i % kDim * grid * grid + i / kDim)] = image.at(i / kDim, i % kDim);
    }
    Picture fine = normalized_gelu("output_upscaling.1", transpose_convolve("output_upscaling.0", picture));
    fine = transpose_convolve("output_upscaling.3", fine);
    for (double& value : fine.values) value = gelu(value);
    const auto token = [&](std::int64_t i) {
      Matrix row(1, kDim);
      for (std::int64_t c = 0; c < kDim; ++c) row.at(0, c) = tokens.at(i, c);
      return row;
    };
    const Matrix quality = perceptron("iou_prediction_head", token(0));
    for (const std::int32_t mask : prompt.mask_index) {
      const Matrix kernel = perceptron("output_hypernetworks_mlps." + std::to_string(mask), token(1 + mask));
      for (std::int64_t i = 0; i < fine.side * fine.side; ++i) {
        double logit = 0;
        for (std::int64_t c = 0; c < 32; ++c) logit += kernel.at(0, c) * fine.at(c, i / fine.side, i % fine.side);
        answer.logits.push_back(logit);
      }
      answer.quality.push_back(quality.at(0, mask));
    }
  }

  const SamCheckpoint& checkpoint_;
};

}  // namespace
SamAnswer decode_plainly(const SamCheckpoint& checkpoint, const std::vector<float>& embedding,
                         const SamPrompts& prompts) {
  return Reference(checkpoint).decode(embedding, prompts);
}

}  // namespace medsam::testing
