// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "platform/numeric_locale.hpp"

#include <clocale>
#include <cstdio>
#include <new>

namespace medsam::platform {

// A thread of Windows follows the process's locale until it is told to have its own, which setlocale then changes.
struct NumericLocale::Before {
  int mode;  // whether the thread had one of its own
  char name[128];
};

NumericLocale::NumericLocale() noexcept : before_(new (std::nothrow) Before{}) {
  if (before_ == nullptr) return;
  before_->mode = ::_configthreadlocale(_ENABLE_PER_THREAD_LOCALE);
  if (const char* name = std::setlocale(LC_NUMERIC, nullptr); name != nullptr) {
    std::snprintf(before_->name, sizeof before_->name, "%s", name);
  }
  std::setlocale(LC_NUMERIC, "C");
}

NumericLocale::~NumericLocale() {
  if (before_ == nullptr) return;
  std::setlocale(LC_NUMERIC, before_->name);
  if (before_->mode != -1) ::_configthreadlocale(before_->mode);
  delete before_;
}

}  // namespace medsam::platform
