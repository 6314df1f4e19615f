// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The two ways to follow objects through the slices of a volume (Follow). The work is laid out by slice,
// not by object: all objects that pass through a slice share its embedding and a batch of the decoder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "bundle/profile.hpp"
#include "embedding/embedding_data.hpp"
#include "medsam/embedding.hpp"
#include "medsam/volume.hpp"
#include "model/model.hpp"
#include "model/prediction.hpp"
#include "volume/volume_labels.hpp"

namespace medsam {

/// Encodes slice z; `again` says that the slice will be asked for once more. Called from another thread, one call at a
/// time.
using EncodeSlice = std::function<ImageEmbedding(std::int64_t z, bool again)>;

/// A slice's turn.
struct Visit {
  std::int64_t z = 0;
  bool again = false;                // the slice is visited once more later
  std::vector<std::size_t> objects;  // that pass through it, in the order of their labels
};

/// One volume's run. Used by one thread at a time.
class FollowedObjects {
 public:
  FollowedObjects() = default;
  virtual ~FollowedObjects() = default;
  FollowedObjects(const FollowedObjects&) = delete;
  FollowedObjects& operator=(const FollowedObjects&) = delete;

  /// In the order in which they are to be run.
  [[nodiscard]] const std::vector<Visit>& visits() const { return visits_; }
  /// Runs visit `n` with the embedding of its slice. All labels are written when the last one was run. Cancelled, and
  /// the errors of decoding.
  virtual void run(std::size_t n, const detail::EmbeddingData& embedding, const std::function<bool()>& cancelled) = 0;

 protected:
  std::vector<Visit> visits_;
};

/// The slices that are encoded.
struct SliceSizes {
  std::int64_t depth = 0, height = 0, width = 0;

  /// ModelError when an embedding of slice `z` is not of a slice of this size.
  void check_fits(const ImageGeometry& geometry, std::int64_t z) const;
};

/// What both ways work on; checked by the caller, who keeps it for longer than they last.
struct VolumeTask {
  SliceSizes slices;
  const std::vector<Box3D>& boxes;
  const Profile& profile;
  Model& model;
};

/// Follow::propagate: every object starts at its middle slice and goes both ways: an upward sweep over all slices above
/// the middles, then a downward one, so that an embedding has to be kept only when the downward sweep comes by again.
std::unique_ptr<FollowedObjects> propagated_objects(const VolumeTask& task, VolumeLabels& labels);

/// What the objects of a sweep by sections have on its slices.
class SliceAnswers {
 public:
  SliceAnswers() = default;
  virtual ~SliceAnswers() = default;
  SliceAnswers(const SliceAnswers&) = delete;
  SliceAnswers& operator=(const SliceAnswers&) = delete;

  /// `logits` are final, and `rating` is the model's estimate of the slice's IoU. An object's slices come in ascending
  /// order.
  virtual void take(std::size_t object, std::int64_t z, const LogitMap& logits, float rating,
                    const ImageGeometry& geometry) = 0;
};

/// Follow::sections: one upward sweep. A slice's masks are written when the slices above that they are smoothed with
/// have been decoded. So many objects that their logits would take too much memory are done in several sweeps.
std::unique_ptr<FollowedObjects> sectioned_objects(const VolumeTask& task, SliceAnswers& answers);
/// The same, into a label volume.
std::unique_ptr<FollowedObjects> sectioned_objects(const VolumeTask& task, VolumeLabels& labels);

/// Runs all visits; the next slice is encoded while this one is decoded. `visited` is called after each. Cancelled.
void run_visits(FollowedObjects& objects, const EncodeSlice& encode, const std::function<bool()>& cancelled,
                const std::function<void()>& visited);

}  // namespace medsam
