// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Make once, share, keep the last used: what embeddings, models, decoder graphs and compiled models are kept in.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <future>
#include <limits>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace medsam {

/// Values by key. Concurrent calls for one key make its value once; calls for other keys do not wait meanwhile. The
/// least recently used go first. A value is handed out by copy, so make it a shared_ptr: what was evicted then lives
/// as long as somebody uses it. Thread-safe.
template <class Key, class Value, class Hash = std::hash<Key>>
class OnceCache {
 public:
  using Make = std::function<Value()>;
  using Cost = std::function<std::uint64_t(const Value&)>;
  /// Whether a value may push out what was used longer ago.
  enum class Keep { evicting, if_there_is_room };
  static constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

  struct Stats {
    std::uint64_t hits = 0;  // calls that got a value, or waited for one, that another call made
    std::uint64_t misses = 0;
    std::uint64_t evictions = 0;
    std::uint64_t entries = 0;  // values, without those that are being made
    std::uint64_t cost = 0;     // of all entries
  };

  /// Keeps at most `count` values (at least 1). Room is made for a value before it is made, so that one more than
  /// `count` is never held; one that is still being made has its place and can lose it.
  explicit OnceCache(std::uint64_t count) : budget_(std::max<std::uint64_t>(1, count)) {}

  /// Keeps values whose costs sum up to at most `budget`. A cost is known only once its value is made; one that
  /// exceeds the budget alone is handed out and not kept. With a budget of 0, only concurrent calls share.
  OnceCache(std::uint64_t budget, Cost cost) : budget_(budget), cost_(std::move(cost)) {}

  /// The value of `key`: the one that is kept or being made, else what make() returns. What make() or the cost throws
  /// reaches everyone who waits for it; nothing is kept then, and the next call tries again. make() must not ask for
  /// its own key.
  Value get(const Key& key, const Make& make, Keep keep = Keep::evicting) {
    std::optional<std::promise<Value>> promise;  // made for a miss alone: it allocates
    std::uint64_t id = 0;
    {
      Entries evicted;  // declared first: values end after the lock was given up, since that may take long
      std::unique_lock lock(mutex_);
      if (const auto found = index_.find(key); found != index_.end()) {
        ++stats_.hits;
        entries_.splice(entries_.begin(), entries_, found->second);
        const std::shared_future<Value> value = found->second->value;
        lock.unlock();
        return value.get();
      }
      id = begin(key, promise.emplace().get_future().share(), keep, evicted);
    }
    try {
      Value value = make();
      const std::uint64_t cost = cost_ ? cost_(value) : 1;
      Entries evicted;
      const std::lock_guard lock(mutex_);
      promise->set_value(value);
      settle(key, id, cost, keep, evicted);
      return value;
    } catch (...) {
      Entries failed;
      const std::lock_guard lock(mutex_);
      if (const auto entry = find(key, id); entry != entries_.end()) remove(entry, failed);
      promise->set_exception(std::current_exception());
      throw;
    }
  }

  [[nodiscard]] Stats stats() const {
    const std::lock_guard lock(mutex_);
    Stats stats = stats_;
    stats.entries = static_cast<std::uint64_t>(
        std::count_if(entries_.begin(), entries_.end(), [](const Entry& entry) { return entry.made; }));
    return stats;
  }

  /// Whether the key's value is made and kept.
  [[nodiscard]] bool holds(const Key& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = index_.find(key);
    return found != index_.end() && found->second->made;
  }

  /// The keys of the values that are kept or being made, most recently used first.
  [[nodiscard]] std::vector<Key> keys() const {
    const std::lock_guard lock(mutex_);
    std::vector<Key> keys;
    for (const Entry& entry : entries_) keys.push_back(entry.key);
    return keys;
  }

  /// Forgets all values but those that are being made. Not counted as evictions.
  void clear() {
    Entries cleared;
    const std::lock_guard lock(mutex_);
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      const auto next = std::next(entry);
      if (entry->made) remove(entry, cleared);
      entry = next;
    }
  }

 private:
  struct Entry {
    Key key;
    std::uint64_t id = 0;  // so that a call settles its own entry, and not a later one of the same key
    std::shared_future<Value> value;
    std::uint64_t cost = 0;  // 0 until it has a place
    bool made = false;
  };
  using Entries = std::list<Entry>;
  using Position = typename Entries::iterator;

  // All below are called under the mutex, and throw only before they have changed anything.

  std::uint64_t begin(const Key& key, std::shared_future<Value> value, Keep keep, Entries& evicted) {
    Entries fresh;
    fresh.push_front({key, next_id_, std::move(value)});
    index_.emplace(key, fresh.begin());
    if (!cost_ && make_room(1, keep, evicted)) fresh.front().cost = 1;
    stats_.cost += fresh.front().cost;
    ++stats_.misses;
    entries_.splice(entries_.begin(), fresh);
    return next_id_++;
  }

  void settle(const Key& key, std::uint64_t id, std::uint64_t cost, Keep keep, Entries& evicted) {
    const Position entry = find(key, id);
    if (entry == entries_.end()) return;  // evicted while it was made
    if (entry->cost == 0) {
      if (!make_room(cost, keep, evicted)) return remove(entry, evicted);
      entry->cost = cost;
      stats_.cost += cost;
      entries_.splice(entries_.begin(), entries_, entry);
    }
    entry->made = true;
  }

  /// Evicts what has a place until `cost` fits in. False, with nothing evicted, if it may not or cannot.
  bool make_room(std::uint64_t cost, Keep keep, Entries& evicted) {
    if (cost > budget_) return false;
    if (keep == Keep::if_there_is_room && cost > budget_ - stats_.cost) return false;
    for (Position next = entries_.end(); cost > budget_ - stats_.cost;) {
      const Position entry = --next;
      if (entry->cost == 0) continue;
      ++next;
      remove(entry, evicted);
      ++stats_.evictions;
    }
    return true;
  }

  Position find(const Key& key, std::uint64_t id) {
    const auto found = index_.find(key);
    return found != index_.end() && found->second->id == id ? found->second : entries_.end();
  }

  void remove(Position entry, Entries& to) {
    stats_.cost -= entry->cost;
    index_.erase(entry->key);
    to.splice(to.begin(), entries_, entry);
  }

  const std::uint64_t budget_;
  const Cost cost_;  // empty: each value costs 1
  mutable std::mutex mutex_;
  Entries entries_;  // most recently used first
  std::unordered_map<Key, Position, Hash> index_;
  std::uint64_t next_id_ = 0;
  Stats stats_;
};

}  // namespace medsam
