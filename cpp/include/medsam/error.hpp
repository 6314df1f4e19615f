// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Every error the library raises. Each message is one line: what, got, expected, remedy. It is printable, whatever the
// files and names hold that it quotes, and at most 2000 bytes long (medsam/printable.hpp).
#pragma once

#include <stdexcept>
#include <string>

#include "medsam/export.hpp"

namespace medsam {

/// Stable across versions; the C API returns these numbers.
enum class ErrorCode : int {
  invalid_argument = 1,  ///< The caller's input is out of its documented range.
  model = 2,             ///< The bundle is missing, corrupt, or not understood by this version.
  backend = 3,           ///< The inference library failed; its own text is in the message.
  out_of_memory = 4,     ///< An allocation failed.
  unsupported = 5,       ///< Valid, but not possible here: a device, a precision or an instruction set is absent.
  cancelled = 6,         ///< The caller's cancellation callback asked to stop.
};

/// Base of all errors. Immutable, so safe to read from any thread.
class MEDSAM_ENGINE_EXPORT Error : public std::runtime_error {
 public:
  /// `message`: what, got, expected, remedy; what() is printable(message).
  Error(ErrorCode code, const std::string& message);
  ~Error() override;
  Error(const Error&) = default;                                   ///< Shares the message.
  Error& operator=(const Error&) = default;                        ///< Likewise.
  [[nodiscard]] ErrorCode code() const noexcept { return code_; }  ///< The kind of error, as a number.

 private:
  ErrorCode code_;
};

/// The caller's input is out of its documented range.
class MEDSAM_ENGINE_EXPORT InvalidArgument : public Error {
 public:
  explicit InvalidArgument(const std::string& message);  ///< As Error.
  ~InvalidArgument() override;
};

/// The bundle is missing, corrupt, of an unknown version, or does not belong to the embedding at hand.
class MEDSAM_ENGINE_EXPORT ModelError : public Error {
 public:
  explicit ModelError(const std::string& message);  ///< As Error.
  ~ModelError() override;
};

/// The inference library failed.
class MEDSAM_ENGINE_EXPORT BackendError : public Error {
 public:
  explicit BackendError(const std::string& message);  ///< As Error.
  ~BackendError() override;
};

/// An allocation failed.
class MEDSAM_ENGINE_EXPORT OutOfMemory : public Error {
 public:
  explicit OutOfMemory(const std::string& message);  ///< As Error.
  ~OutOfMemory() override;
};

/// Not possible on this machine or with this bundle.
class MEDSAM_ENGINE_EXPORT Unsupported : public Error {
 public:
  explicit Unsupported(const std::string& message);  ///< As Error.
  ~Unsupported() override;
};

/// The caller's cancellation callback asked to stop.
class MEDSAM_ENGINE_EXPORT Cancelled : public Error {
 public:
  explicit Cancelled(const std::string& message);  ///< As Error.
  ~Cancelled() override;
};

}  // namespace medsam
