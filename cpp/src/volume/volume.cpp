// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "volume/volume.hpp"

#include <future>
#include <string>

#include "medsam/error.hpp"
#include "platform/cores.hpp"

namespace medsam {

void SliceSizes::check_fits(const ImageGeometry& geometry, std::int64_t z) const {
  if (geometry.height == height && geometry.width == width) return;
  throw ModelError("volume: slice " + std::to_string(z) + " got the embedding of an image of " +
                   std::to_string(geometry.height) + " x " + std::to_string(geometry.width) +
                   ", expected one of its own size; clear the embedding cache and store");
}

void run_visits(FollowedObjects& objects, const EncodeSlice& encode, const std::function<bool()>& cancelled,
                const std::function<void()>& visited) {
  const std::vector<Visit>& visits = objects.visits();
  const auto ahead = [&](std::size_t i) {
    return std::async(platform::beside(), [&, i] { return encode(visits[i].z, visits[i].again); });
  };
  std::future<ImageEmbedding> next;
  for (std::size_t i = 0; i < visits.size(); ++i) {
    if (cancelled && cancelled()) throw Cancelled("volume: cancelled by the caller");
    if (i == 0) next = ahead(0);
    const ImageEmbedding embedding = next.get();
    if (i + 1 < visits.size()) next = ahead(i + 1);
    objects.run(i, *embedding.impl(), cancelled);
    visited();
  }
}

std::vector<VolumeStats> follow_objects(const VolumeView& volume, const std::vector<Box3D>& boxes,
                                        const Profile& profile, const EncodeSlice& encode, Model& model,
                                        const LabelVolumeView& out, const VolumeOptions& options) {
  VolumeLabels labels(out, boxes, profile.mask.overlap);
  const VolumeTask task{{volume.depth, volume.height, volume.width}, boxes, profile, model};
  const std::unique_ptr<FollowedObjects> objects =
      profile.volume.follow == Follow::sections ? sectioned_objects(task, labels) : propagated_objects(task, labels);
  VolumeProgress progress{0, static_cast<std::int64_t>(objects->visits().size())};
  run_visits(*objects, encode, options.cancelled, [&] {
    ++progress.done;
    if (options.progress) options.progress(progress);
  });
  return labels.stats();
}

}  // namespace medsam
