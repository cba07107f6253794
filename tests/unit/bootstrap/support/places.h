/// Folders, ports and programs of the bootstrap's tests. Everything ends with the test that made it.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "server-relay/bootstrap/child-process.h"

namespace pgtandem::bootstrap::testing {

/// A folder of its own below /tmp, readable by every user; removed at the end.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string path(const std::string& name = {}) const;
  /// Writes a file (mode 0600 unless given); gives its path.
  std::string write(const std::string& name, const std::string& content, unsigned mode = 0600) const;

 private:
  std::filesystem::path path_;
};

std::string read_file(const std::string& path);
std::uint16_t free_port();

struct Outcome {
  int status = -1;
  std::string out;
  std::string err;
};

/// A program that runs beside the test; dies with the test process, however that ends.
class Program {
 public:
  explicit Program(const std::vector<std::string>& argv, const std::string& user = {});
  ChildProcess& child() { return child_; }
  /// Waits for its end, reading its output.
  Outcome finish(std::chrono::seconds limit);
  /// What it wrote so far.
  const std::string& output();
  bool running() { return !child_.try_wait(); }
  void signal(int number) const;

 private:
  ChildProcess child_;
  std::string out_;
};

/// Runs to the end; fails the test if that takes longer.
Outcome run(const std::vector<std::string>& argv, const std::string& user = {},
            std::chrono::seconds limit = std::chrono::seconds(60));
/// Waits until it is true; fails the test with `what` after `limit`.
void await(const std::string& what, const std::function<bool()>& condition,
           std::chrono::seconds limit = std::chrono::seconds(30));

/// The children of a process.
std::vector<pid_t> children_of(pid_t pid);

}  // namespace pgtandem::bootstrap::testing
