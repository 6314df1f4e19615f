// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "volume/volume.hpp"

#include <future>

#include "medsam/error.hpp"
#include "volume/followed_objects.hpp"

namespace medsam {

std::vector<VolumeStats> follow_objects(const VolumeView& volume, const std::vector<Box3D>& boxes,
                                        const Profile& profile, const EncodeSlice& encode, Model& model,
                                        const LabelVolumeView& out, const VolumeOptions& options) {
  VolumeLabels labels(out, boxes, profile.mask.overlap);
  const VolumeTask task{volume, boxes, profile, model};
  const std::unique_ptr<FollowedObjects> objects =
      profile.volume.follow == Follow::sections ? sectioned_objects(task, labels) : propagated_objects(task, labels);
  const std::vector<Visit>& visits = objects->visits();
  const auto ahead = [&](std::size_t i) {
    return std::async(std::launch::async, [&, i] { return encode(visits[i].z, visits[i].again); });
  };
  std::future<ImageEmbedding> next;
  for (std::size_t i = 0; i < visits.size(); ++i) {
    if (options.cancelled && options.cancelled()) throw Cancelled("volume: cancelled by the caller");
    if (i == 0) next = ahead(0);
    const ImageEmbedding embedding = next.get();
    if (i + 1 < visits.size()) next = ahead(i + 1);
    objects->run(i, *embedding.impl(), options.cancelled);
    if (options.progress) {
      options.progress({static_cast<std::int64_t>(i + 1), static_cast<std::int64_t>(visits.size())});
    }
  }
  return labels.stats();
}

}  // namespace medsam
