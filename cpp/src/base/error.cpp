// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "medsam/error.hpp"

#include "medsam/printable.hpp"

namespace medsam {

// The destructors are defined here so that each class has one vtable and one type_info, in this library: a host and the
// Python module then catch the same type.
// Here, so that no message can forget it: names, paths and a vendor's own text come from files that are not trusted.
Error::Error(ErrorCode code, const std::string& message) : std::runtime_error(printable(message)), code_(code) {}
Error::~Error() = default;

InvalidArgument::InvalidArgument(const std::string& message) : Error(ErrorCode::invalid_argument, message) {}
InvalidArgument::~InvalidArgument() = default;

ModelError::ModelError(const std::string& message) : Error(ErrorCode::model, message) {}
ModelError::~ModelError() = default;

BackendError::BackendError(const std::string& message) : Error(ErrorCode::backend, message) {}
BackendError::~BackendError() = default;

OutOfMemory::OutOfMemory(const std::string& message) : Error(ErrorCode::out_of_memory, message) {}
OutOfMemory::~OutOfMemory() = default;

Unsupported::Unsupported(const std::string& message) : Error(ErrorCode::unsupported, message) {}
Unsupported::~Unsupported() = default;

Cancelled::Cancelled(const std::string& message) : Error(ErrorCode::cancelled, message) {}
Cancelled::~Cancelled() = default;

}  // namespace medsam
