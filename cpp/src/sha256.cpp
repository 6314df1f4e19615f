// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "sha256.hpp"

#include <mbedtls/md.h>

#include <array>
#include <fstream>
#include <memory>
#include <vector>

#include "medsam/error.hpp"

namespace medsam {

namespace {

// Over the mbedtls_md API, which is the same in mbedtls 2.28 and 3.x (mbedtls_sha256_* is not).
class Sha256 {
 public:
  Sha256() {
    mbedtls_md_init(&context_);
    check(mbedtls_md_setup(&context_, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 0));
    check(mbedtls_md_starts(&context_));
  }
  ~Sha256() { mbedtls_md_free(&context_); }
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(const char* data, std::size_t size) {
    check(mbedtls_md_update(&context_, reinterpret_cast<const unsigned char*>(data), size));
  }

  std::string hex() {
    std::array<unsigned char, 32> digest{};
    check(mbedtls_md_finish(&context_, digest.data()));
    std::string text;
    for (const unsigned char byte : digest) {
      text += "0123456789abcdef"[byte >> 4];
      text += "0123456789abcdef"[byte & 15];
    }
    return text;
  }

 private:
  static void check(int code) {
    if (code != 0) throw BackendError("SHA-256: mbedtls failed with code " + std::to_string(code));
  }
  mbedtls_md_context_t context_{};
};

}  // namespace

std::string sha256_hex(const std::string& bytes) {
  Sha256 sha;
  sha.update(bytes.data(), bytes.size());
  return sha.hex();
}

std::string sha256_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw ModelError(path + ": cannot be read; check that it exists and its permissions");
  Sha256 sha;
  std::vector<char> buffer(std::size_t{1} << 20);
  while (file) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    sha.update(buffer.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) throw ModelError(path + ": reading failed half-way; check the disk");
  return sha.hex();
}

}  // namespace medsam
