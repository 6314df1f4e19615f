// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Numbers and rows of numbers: what the encoder's kernels read and write. Depends on nothing but the standard library.
#pragma once

#include <cstdint>
#include <type_traits>

namespace medsam::kernels {

/// The upper half of an f32, rounded to even. Without arithmetic of its own: it is widened, multiplied and summed in
/// f32, so that no sum of integers can pass for one of numbers.
struct Bf16 {
  std::uint16_t bits;
};
static_assert(sizeof(Bf16) == 2 && std::is_trivial_v<Bf16>);

/// How a number lies in memory. Products of bf16 are summed in f32.
enum class Format : std::uint8_t { bf16, f32 };

template <class T>
constexpr Format kFormatOf = std::is_same_v<std::remove_const_t<T>, Bf16> ? Format::bf16 : Format::f32;

/// A product is computed in blocks of 32 x 32, along chunks of 32 of the dimension that is summed over: two tiles of
/// AMX in each direction, two vectors of AVX-512, a head's channels, and a divisor of every width of TinyViT.
constexpr std::int64_t kBlock = 32;

/// The next multiple of kBlock.
constexpr std::int64_t whole_blocks(std::int64_t count) noexcept { return (count + kBlock - 1) / kBlock * kBlock; }

/// A view of rows of channels in one of the formats; it owns nothing. Channels are contiguous, and `stride` elements
/// lie from one row to the next. How many rows there are, the caller knows.
template <bool kConst>
class BasicRows {
  template <class T>
  using Element = std::conditional_t<kConst, const T, T>;

 public:
  /// None.
  constexpr BasicRows() noexcept = default;
  BasicRows(Element<float>* data, std::int64_t channels) noexcept : BasicRows(data, channels, channels) {}
  BasicRows(Element<float>* data, std::int64_t channels, std::int64_t stride) noexcept
      : data_(data), channels_(channels), stride_(stride) {}
  BasicRows(Element<Bf16>* data, std::int64_t channels) noexcept : BasicRows(data, channels, channels) {}
  BasicRows(Element<Bf16>* data, std::int64_t channels, std::int64_t stride) noexcept
      : data_(data), channels_(channels), stride_(stride), format_(Format::bf16) {}
  /// What may be written may be read.
  // NOLINTBEGIN(google-explicit-constructor): implicit, as from T* to const T*
  template <bool kOther>
  requires(kConst && !kOther) BasicRows(const BasicRows<kOther>& rows)
  noexcept : data_(rows.data_), channels_(rows.channels_), stride_(rows.stride_), format_(rows.format_) {}
  // NOLINTEND(google-explicit-constructor)

  explicit operator bool() const noexcept { return data_ != nullptr; }
  [[nodiscard]] Format format() const noexcept { return format_; }
  [[nodiscard]] std::int64_t channels() const noexcept { return channels_; }
  [[nodiscard]] std::int64_t stride() const noexcept { return stride_; }

  /// The element of a row and a channel. T is what format() says.
  template <class T>
  [[nodiscard]] Element<T>* at(std::int64_t row, std::int64_t channel = 0) const noexcept {
    return static_cast<Element<T>*>(data_) + row * stride_ + channel;
  }

  /// The rows from `first` on.
  [[nodiscard]] BasicRows from(std::int64_t first) const noexcept {
    return format_ == Format::bf16 ? BasicRows(at<Bf16>(first), channels_, stride_)
                                   : BasicRows(at<float>(first), channels_, stride_);
  }

 private:
  friend class BasicRows<true>;

  Element<void>* data_ = nullptr;
  std::int64_t channels_ = 0, stride_ = 0;
  Format format_ = Format::f32;
};

using Rows = BasicRows<false>;
using ConstRows = BasicRows<true>;

/// Asks for `count` dense rows that will be read soon, into the second-level cache, and waits for none.
inline void prefetch(const ConstRows& rows, std::int64_t count) noexcept {
  const bool rounded = rows.format() == Format::bf16;
  const void* first = rounded ? static_cast<const void*>(rows.at<Bf16>(0)) : rows.at<float>(0);
  constexpr std::int64_t kLine = 64;
  const std::int64_t bytes = count * rows.stride() * static_cast<std::int64_t>(rounded ? sizeof(Bf16) : sizeof(float));
  for (std::int64_t at = 0; at < bytes; at += kLine) __builtin_prefetch(static_cast<const char*>(first) + at, 0, 2);
}

}  // namespace medsam::kernels
