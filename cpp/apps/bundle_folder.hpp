// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <string>

namespace medsam::apps {

/// The bundle to use: `named`, else $MEDSAM_ENGINE_BUNDLE, else the one in the user's data folder (XDG base
/// directories), of several there "litemedsam". The same rule as python/medsam_engine/paths.py. ModelError when there
/// is none.
std::string bundle_folder(const std::string& named);

}  // namespace medsam::apps
