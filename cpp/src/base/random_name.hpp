// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#pragma once

#include <string>

namespace medsam {

/// 16 hexadecimal digits that no other process draws, also not one of another container, which may have this one's
/// number, and its host's name.
std::string random_name();

}  // namespace medsam
