// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "base/sha256.hpp"

#include <mbedtls/md.h>

#include <array>

#include "medsam/error.hpp"

namespace medsam {

namespace {

void check(int code) {
  if (code != 0) throw BackendError("SHA-256: mbedtls failed with code " + std::to_string(code));
}

}  // namespace

// Over the mbedtls_md API, which is the same in mbedtls 2.28 and 3.x (mbedtls_sha256_* is not).
struct Sha256::State {
  State() { mbedtls_md_init(&context); }
  ~State() { mbedtls_md_free(&context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  mbedtls_md_context_t context{};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  check(mbedtls_md_setup(&state_->context, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 0));
  check(mbedtls_md_starts(&state_->context));
}

Sha256::~Sha256() = default;

void Sha256::update(const char* data, std::size_t size) {
  check(mbedtls_md_update(&state_->context, reinterpret_cast<const unsigned char*>(data), size));
}

std::string Sha256::hex() {
  std::array<unsigned char, 32> digest{};
  check(mbedtls_md_finish(&state_->context, digest.data()));
  std::string text;
  for (const unsigned char byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string sha256_hex(const std::string& bytes) {
  Sha256 sha;
  sha.update(bytes.data(), bytes.size());
  return sha.hex();
}

}  // namespace medsam
