// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// The errors that the library raises. Each message is one line that states what was wrong, the value that was given,
// what was expected and what to do. It is printable, whatever files and names it quotes, and at most 2000 bytes long
// (medsam/printable.hpp).
#pragma once

#include <stdexcept>
#include <string>

#include "medsam/export.hpp"

namespace medsam {

/// The kinds of errors. The numbers are stable across versions; the C API returns them.
enum class ErrorCode : int {
  invalid_argument = 1,  ///< An input is outside its documented range.
  model = 2,             ///< The bundle is missing, corrupt or of an unknown version.
  backend = 3,           ///< The inference library failed; the message contains its text.
  out_of_memory = 4,     ///< An allocation failed.
  unsupported = 5,       ///< Valid, but not possible here: a device, precision or instruction set is missing.
  cancelled = 6,         ///< The caller's cancellation callback returned true.
};

/// Base class of all errors. Immutable, so it may be read from any thread.
class MEDSAM_ENGINE_EXPORT Error : public std::runtime_error {
 public:
  /// what() is printable(message).
  Error(ErrorCode code, const std::string& message);
  ~Error() override;
  Error(const Error&) = default;                                   ///< Shares the message.
  Error& operator=(const Error&) = default;                        ///< Likewise.
  [[nodiscard]] ErrorCode code() const noexcept { return code_; }  ///< The kind of error, as a number.

 private:
  ErrorCode code_;
};

/// An input is outside its documented range.
class MEDSAM_ENGINE_EXPORT InvalidArgument : public Error {
 public:
  explicit InvalidArgument(const std::string& message);  ///< As Error.
  ~InvalidArgument() override;
};

/// The bundle is missing, corrupt or of an unknown version, or an embedding belongs to another model.
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

/// The caller's cancellation callback returned true.
class MEDSAM_ENGINE_EXPORT Cancelled : public Error {
 public:
  explicit Cancelled(const std::string& message);  ///< As Error.
  ~Cancelled() override;
};

}  // namespace medsam
