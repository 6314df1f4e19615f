// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Intensity windows: they map scanner values (Hounsfield units and the like) to 0 to 255, the range that the published
// models were trained on.
//
// The rules are those with which the MedSAM-on-laptop challenge prepared its data (bowang-lab/MedSAM, branch
// LiteMedSAM, pre_CT_MR.py): clip the values, then stretch the range from the minimum to the maximum that remain. The
// published script truncates where this library rounds; the results differ by at most one of 255 steps.
//
// A window is resolved once, from all slices of a volume, and then applied to one slice at a time, so that a slice does
// not depend on which others are asked for and only slices that are shown take memory. All functions are thread-safe,
// and throw std::bad_alloc where memory ends.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "medsam/export.hpp"
#include "medsam/image.hpp"
#include "medsam/volume.hpp"

namespace medsam {

/// The type of one value before a window is applied. Windows take more types than the engine does (PixelType).
enum class SampleType : std::uint8_t {
  u8,   ///< std::uint8_t
  i8,   ///< std::int8_t
  u16,  ///< std::uint16_t
  i16,  ///< std::int16_t
  u32,  ///< std::uint32_t
  i32,  ///< std::int32_t
  u64,  ///< std::uint64_t
  i64,  ///< std::int64_t
  f32,  ///< float, not NaN
  f64,  ///< double, not NaN
};

/// A borrowed slice of values, or an image: the value at column x of row y is at
/// `data + y * row_stride + x * size of type` (bytes). It may be empty.
struct SampleView {
  const void* data = nullptr;        ///< First value of the top row. Aligned to its type.
  SampleType type = SampleType::u8;  ///< Type of a value.
  std::int64_t height = 0;           ///< Rows, 0 to 2^20.
  std::int64_t width = 0;            ///< Values of a row, >= 0; a row has at most 2^42 bytes.
  std::int64_t row_stride = 0;       ///< Bytes from one row to the next; negative for an image stored bottom-up.
};

/// The values from low to high, both inclusive. Nothing lies in an interval whose ends are reversed or NaN. Values of
/// f32 are compared with the ends rounded to float.
struct ValueInterval {
  double low = 0;   ///< Lowest value.
  double high = 0;  ///< Highest value.
};

/// Which window is asked for, and what is known of the values.
struct WindowOptions {
  /// A name of ct_presets(), "percentile", "full", "WIDTH,LEVEL" (decimal numbers, in the unit of the values) or "none"
  /// (values unchanged), in upper or lower case. "" lets `modality` decide, by default_window(); values of u8 and of
  /// color images then stay as they are, because they need no further preparation.
  std::string window;
  /// The modality as DICOM's code, for the default window: "CT", "MR", "PT", ... in upper or lower case.
  std::string modality;
  /// False if the values of a CT are not Hounsfield units.
  bool hounsfield = true;
  /// Whether the values are RGB. They are not windowed by default, and asking for a window is an error. Three channels
  /// of a view are always RGB.
  bool color = false;
  /// For each slice, the values that hold no measurement, if there are any; empty when no slice has any. They do not
  /// affect the window and become 0, except with "none" and for color.
  std::vector<std::optional<ValueInterval>> padding;
};

/// A window as it was resolved for one image or volume: plain numbers, to be copied, kept and compared at will.
struct IntensityWindow {
  /// What happens to a value.
  enum class Rule : std::uint8_t {
    unchanged,  ///< The engine takes the values as they are; there is nothing to apply.
    padding,    ///< Values of u8 stay as they are, but padding becomes 0.
    stretch,    ///< Clipped to low .. high, then darkest .. brightest becomes 0 .. 255, rounded half to even.
  };
  Rule rule = Rule::unchanged;  ///< What happens to a value.
  double low = 0;               ///< Values below are taken for this; -infinity for "full".
  double high = 0;              ///< Values above are taken for this; infinity for "full".
  double darkest = 0;           ///< The smallest clipped value that is no padding, which becomes 0.
  double brightest = 0;         ///< The largest, which becomes 255. If it is not above `darkest`, everything becomes 0.
  bool zeros_stay = false;      ///< Whether values of exactly 0 become 0 whatever the window (percentile).
};

/// Gives slice k, 0 <= k < depth; called for each k in order, twice where percentiles are needed. The view must stay
/// valid until the next call or the end. May throw; the exception leaves resolve_window unchanged.
using SliceSource = std::function<SampleView(std::int64_t k)>;

/// Resolves a window for a volume whose slices are given one at a time, all of `type`. Needs about 1.5 MiB of memory
/// for percentiles, however large the volume. The window "percentile" clips to the 0.5 and 99.5 percentiles of the
/// values above 0, rounded to float, as numpy.percentile gives them.
///
/// InvalidArgument: the name is unknown, the width is not positive, a window is named for color, a CT window is named
/// for values that are not Hounsfield units, the padding is for another number of slices, a value that is no padding is
/// NaN, the window's ends are not finite, or a view is unsound.
[[nodiscard]] MEDSAM_ENGINE_EXPORT IntensityWindow resolve_window(std::int64_t depth, SampleType type,
                                                                  const SliceSource& slices,
                                                                  const WindowOptions& options);
/// The same for a volume in memory.
[[nodiscard]] MEDSAM_ENGINE_EXPORT IntensityWindow resolve_window(const VolumeView& volume,
                                                                  const WindowOptions& options);
/// The same for an image, whose padding is at most one interval.
[[nodiscard]] MEDSAM_ENGINE_EXPORT IntensityWindow resolve_window(const ImageView& image, const WindowOptions& options);

/// Writes a slice as it looks through `window` to `out`, u8 of (height, width), whose rows are `out_row_stride` bytes
/// apart. `padding` is that of the slice. With Rule::stretch, NaN becomes 0 or the clip's lower end, and no value is
/// refused: it is resolve_window that looks at values.
///
/// InvalidArgument: the view or the stride of `out` is unsound, the window has Rule::unchanged, or it has Rule::padding
/// and the values are not u8.
MEDSAM_ENGINE_EXPORT void apply_window(const IntensityWindow& window, const SampleView& slice,
                                       const std::optional<ValueInterval>& padding, std::uint8_t* out,
                                       std::int64_t out_row_stride);
/// The same for slice `k` of a volume, with one channel.
MEDSAM_ENGINE_EXPORT void apply_window(const IntensityWindow& window, const VolumeView& volume, std::int64_t k,
                                       const std::optional<ValueInterval>& padding, std::uint8_t* out,
                                       std::int64_t out_row_stride);
/// The same for an image with one channel.
MEDSAM_ENGINE_EXPORT void apply_window(const IntensityWindow& window, const ImageView& image,
                                       const std::optional<ValueInterval>& padding, std::uint8_t* out,
                                       std::int64_t out_row_stride);

/// The challenge's window for a modality (DICOM's code, in upper or lower case): "abdomen" for CT, "percentile" for MR
/// and PT, otherwise "full". For a CT whose values are not Hounsfield units, it is "percentile".
[[nodiscard]] MEDSAM_ENGINE_EXPORT std::string default_window(const std::string& modality, bool hounsfield = true);

/// InvalidArgument if `window` is not what WindowOptions::window may be.
MEDSAM_ENGINE_EXPORT void check_window(const std::string& window);

/// A window for CT that has a name.
struct CtPreset {
  std::string name;  ///< "abdomen", "lung", ...
  double width = 0;  ///< Width in Hounsfield units.
  double level = 0;  ///< Center in Hounsfield units.
};

/// The named windows for CT: abdomen, lung, brain, mediastinum and bone.
[[nodiscard]] MEDSAM_ENGINE_EXPORT std::vector<CtPreset> ct_presets();

}  // namespace medsam
