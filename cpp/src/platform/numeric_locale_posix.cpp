// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/numeric_locale.hpp"

#include <locale.h>  // NOLINT(modernize-deprecated-headers): uselocale is POSIX, not C++

#include <new>

namespace medsam::platform {

struct NumericLocale::Before {
  ::locale_t ours, hosts;
};

NumericLocale::NumericLocale() noexcept : before_(new (std::nothrow) Before{}) {
  if (before_ == nullptr) return;
  // All but the numbers stays the host's: messages, and the characters of file names.
  const ::locale_t host = ::duplocale(::uselocale(nullptr));
  if (host == nullptr) return;
  before_->ours = ::newlocale(LC_NUMERIC_MASK, "C", host);
  if (before_->ours == nullptr) {
    ::freelocale(host);
    return;
  }
  before_->hosts = ::uselocale(before_->ours);
}

NumericLocale::~NumericLocale() {
  if (before_ != nullptr && before_->ours != nullptr) {
    ::uselocale(before_->hosts);
    ::freelocale(before_->ours);
  }
  delete before_;
}

}  // namespace medsam::platform
