// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The named rules of one published system, as data (docs/profiles.md). The built-in ones are profiles/*.json, compiled
// in; a bundle carries its own in full.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "medsam/image.hpp"

namespace medsam {

enum class Fit { longest_side, stretch };
enum class Interpolation { area, linear, cubic, spline, antialiased };
enum class NormalizeKind { min_max, min_max_padded, mean_std };
/// How a box's ends, pixel indices v of the image, become coordinates of the prompt frame, with s the frame over the
/// image: none: v s; truncate: int(v s), as most published scripts; containing_pixel: floor((v + 0.5) s), the frame's
/// pixel in which the center of v lies. The last is whole as in training, and unbiased: truncation moves a box by up to
/// a pixel up and left.
enum class BoxRounding { none, truncate, containing_pixel };
/// What is upsampled to the image: the logits' crop; the crop of the logits upsampled to the encoder's input size first
/// (two bilinear steps are not one); or the crop of their sigmoids, then cut at 0.5.
enum class MaskUpsample { logits, logits_at_input_size, logits_at_prompt_frame, probabilities };

/// The label of the k-th box (k = 1, 2, ...) of an image: k, or k modulo 256, so that box 256 erases (MCP-MedSAM).
enum class LabelRule { count, modulo_256 };

/// How pixels become the encoder's input. Belongs to the weights: only a bundle's own profile decides it.
struct ImageRules {
  Fit fit = Fit::longest_side;
  Interpolation interpolation = Interpolation::area;
  NormalizeKind normalize = NormalizeKind::min_max;
  double min_range = 1e-8;
  std::vector<double> mean, std;  // mean_std: three each
};

/// How a user's prompt becomes the decoder's tokens.
struct PromptRules {
  BoxRounding box_rounding = BoxRounding::none;
};

/// Which object keeps a pixel that several claim: the later one, or the one whose box is smaller (the later one of
/// equal boxes), so that a structure inside another is not painted over.
enum class Overlap { later, smaller_box };

/// How low-resolution logits become a mask.
struct MaskRules {
  MaskUpsample upsample = MaskUpsample::logits;
  LabelRule labels = LabelRule::count;
  Overlap overlap = Overlap::later;
};

/// Which slices of a 3D box are done: [z0, z1], [z0, z1) or (z0, z1); the middle slice always is, if the last is not
/// before it.
enum class ZRange { closed, half_open, open };

/// Where an object's box on the next slice comes from.
enum class NextBox {
  label_map,  // the mask as a map of the object's label value, resized by area to the model's input, rounded to its
              // type
  mask,       // the mask's bounding box at full resolution
  nearest,    // the mask resized to the model's input by nearest neighbor
  user,       // no propagation: the user's box
};

/// Which mask a slice gets when there is a propagated box.
enum class MaskChoice {
  propagated,  // that of the propagated box
  best_iou,    // that of the propagated or the user's box, whichever the model itself rates higher
};

/// How an object's masks on its slices are found.
enum class Follow {
  propagate,  // from slice to slice: a mask says where the model is asked on the next slice
  sections,   // each slice for itself: the model is asked with sections of solids that the 3D box bounds
};

/// The settings of Follow::sections (volume/sections.hpp, volume/fused_logits.hpp).
struct SectionRules {
  std::vector<double> exponents;  // of the superellipsoids: a section of each is asked about, at least one
  double rating_power = 0;        // an answer's weight is its rating times its stability, to this power
  double smooth_slices = 0;       // sigma of the Gaussian that smooths the logits along z, in slices; 0 = none
};

/// How an object goes from slice to slice.
struct VolumeRules {
  ZRange z_range = ZRange::closed;
  Follow follow = Follow::propagate;
  SectionRules sections;  // of Follow::sections; all below are of Follow::propagate
  NextBox next_box = NextBox::mask;
  LabelType label_type = LabelType::u8;  // of NextBox::label_map
  double box_shift = 0;                  // the next box grows by this on each side, in pixels of the prompt frame
  bool within_user_box = false;          // the next box is cut to the user's box
  BoxRounding down_fallback_rounding = BoxRounding::none;  // of the user's box when the downward pass falls back to it
  MaskChoice choice = MaskChoice::propagated;
};

/// When a box of a 2D image is small enough to be encoded again in a window, a part of the image, and which boxes share
/// a window (image/zoom_windows.hpp). Lengths are in longer sides of a box where not said otherwise.
struct ZoomRules {
  double side = 0;                    // of the window that is made for a box, the box in its center
  double least_side = 0;              // of a window that serves a box; at most `side`
  double most_side = 0;               // likewise; at least `side`
  double margin = 0;                  // between a box and the edge of a window that serves it, where the image goes on
  double most_of_image = 0;           // of a window, in longer sides of the image: larger boxes have none
  std::int64_t least_windows = 0;     // that an image may have, whatever the number of its boxes
  std::int64_t boxes_per_window = 0;  // one more window per this many boxes
  double logit_limit = 0;             // logits of image and window are clipped to +- this before their mean is taken
};

struct Profile {
  std::string name;
  std::optional<ImageRules> image;  // absent: the bundle's own
  PromptRules prompt;
  MaskRules mask;
  VolumeRules volume;
  std::optional<ZoomRules> zoom;  // absent: every box is answered from the whole image
};

/// InvalidArgument naming the profiles there are.
Profile builtin_profile(const std::string& name);

}  // namespace medsam
