/// The watchers of /v1/watch. Each has at most one event under way and knows only whether a newer one exists,
/// so a slow reader costs one event of memory and gets the newest when it catches up. No asio; the control
/// thread only.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace pgtandem {

using WatchEvent = std::shared_ptr<std::string>;

/// One open stream. The one who implements it calls WatchHub::sent() exactly once after each send(), not from
/// inside it.
class WatchStream {
 public:
  virtual ~WatchStream() = default;
  virtual void send(const WatchEvent& event) = 0;
  /// The last call: ends the stream in order.
  virtual void finish() = 0;
};

class WatchHub {
 public:
  using Id = std::uint64_t;

  std::size_t size() const { return watchers_.size(); }
  /// Takes the stream and sends it `event`. The hub gives the id beforehand, since the stream reports by it.
  Id next_id() const { return next_id_; }
  void add(std::unique_ptr<WatchStream> stream, const WatchEvent& event);
  /// The newest event: to everybody who is not busy now, to the others when they are done.
  void offer(const WatchEvent& event);
  /// The event under way is written, or the stream is broken: then the watcher is dropped.
  void sent(Id id, bool written);
  void finish_all();

 private:
  struct Watcher {
    std::unique_ptr<WatchStream> stream;
    WatchEvent last;
    bool busy = false;
  };
  static void send(Watcher& watcher, const WatchEvent& event);

  std::map<Id, Watcher> watchers_;
  WatchEvent newest_;
  Id next_id_ = 1;
};

}  // namespace pgtandem
