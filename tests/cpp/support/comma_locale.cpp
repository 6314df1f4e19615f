// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "support/comma_locale.hpp"

#include <clocale>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <locale>

#include "support/system.hpp"
#include "support/tiny_bundle.hpp"

namespace medsam::testing {

namespace {

// The file that localedef writes for LC_NUMERIC (glibc, locale/programs/ld-numeric.c): a magic number, a count, that
// many offsets, then decimal point, thousands separator, grouping, the first two as wide characters, and the charset.
std::string numeric_category() {
  std::string out;
  const auto word = [&out](std::uint32_t value) { out.append(reinterpret_cast<const char*>(&value), sizeof value); };
  for (const std::uint32_t value : {0x20031115U ^ 1U, 6U, 32U, 34U, 36U, 40U, 44U, 48U}) word(value);
  out.append(",\0.\0\3\3\0\0", 8);
  word(',');
  word('.');
  return out + std::string("UTF-8\0", 6);
}

struct CommaNumbers : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

}  // namespace

CommaLocale::CommaLocale() {
  const TemporaryFolder folder;  // glibc keeps what it has read
  std::filesystem::create_directories(folder.path("comma"));
  write_file(folder.path("comma/LC_NUMERIC"), numeric_category());
  set_environment("LOCPATH", folder.path());
  std::locale::global(std::locale(std::locale::classic(), new CommaNumbers));
  std::setlocale(LC_NUMERIC, "comma");
}

CommaLocale::~CommaLocale() {
  std::locale::global(std::locale::classic());
  std::setlocale(LC_NUMERIC, "C");
  unset_environment("LOCPATH");
}

bool CommaLocale::active() {
  char text[8];
  std::snprintf(text, sizeof text, "%.1f", 0.5);
  return std::string(text) == "0,5";
}

}  // namespace medsam::testing
