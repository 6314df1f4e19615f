// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// What another version of the library would have put beside this one.
#include "medsam/export.hpp"

namespace {

struct Table {
  const char* version;
  void (*create)();
};
constexpr Table kTable = {"0.0.7", nullptr};

}  // namespace

#if defined(MEDSAM_ENGINE_FOREIGN_version)
extern "C" MEDSAM_ENGINE_EXPORT const Table* medsam_engine_plugin_2() { return &kTable; }
#else
// The entry point of a table of another form.
extern "C" MEDSAM_ENGINE_EXPORT const Table* medsam_engine_plugin() { return &kTable; }
#endif
