// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/numeric_locale.hpp"

namespace medsam {

NumericLocale::NumericLocale() noexcept {
  // All but the numbers stays the host's: messages, and the characters of file names.
  const ::locale_t host = ::duplocale(::uselocale(nullptr));
  if (host == nullptr) return;
  ours_ = ::newlocale(LC_NUMERIC_MASK, "C", host);
  if (ours_ == nullptr) {
    ::freelocale(host);
    return;
  }
  before_ = ::uselocale(ours_);
}

NumericLocale::~NumericLocale() {
  if (ours_ == nullptr) return;
  ::uselocale(before_);
  ::freelocale(ours_);
}

}  // namespace medsam
