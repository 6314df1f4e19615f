// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Requests of one compiled model, handed out one to a thread at a time.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "backends/backend.hpp"

namespace medsam {

/// Thread-safe. Grows to the number of concurrent calls and keeps what it made.
class RequestPool {
 public:
  explicit RequestPool(std::shared_ptr<const backends::CompiledModel> model) : model_(std::move(model)) {}

  /// A request for the lifetime of the lease. One that was in use when an exception passed is not reused.
  class Lease {
   public:
    Lease(RequestPool& pool, std::unique_ptr<backends::Request> request)
        : pool_(pool), request_(std::move(request)), exceptions_(std::uncaught_exceptions()) {}
    ~Lease() {
      if (std::uncaught_exceptions() == exceptions_) pool_.give_back(std::move(request_));
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    backends::Request* operator->() const { return request_.get(); }
    [[nodiscard]] backends::Request* get() const { return request_.get(); }

   private:
    RequestPool& pool_;
    std::unique_ptr<backends::Request> request_;
    int exceptions_;
  };

  [[nodiscard]] std::size_t largest_batch() const { return model_->largest_batch(); }

  Lease acquire() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto request = std::move(idle_.back());
        idle_.pop_back();
        return {*this, std::move(request)};
      }
    }
    return {*this, model_->create_request()};
  }

 private:
  void give_back(std::unique_ptr<backends::Request> request) noexcept {
    try {
      const std::lock_guard lock(mutex_);
      idle_.push_back(std::move(request));
    } catch (...) {  // no memory for the list: the request is destroyed, the next call makes another
      return;
    }
  }

  std::shared_ptr<const backends::CompiledModel> model_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<backends::Request>> idle_;
};

}  // namespace medsam
