/// A frontend that sends bytes as they are given, for tests with messages that no driver would make.
#pragma once
#include <string>
#include <vector>

#include "common/net/endpoint.h"

namespace pgtandem::testing {

struct BackendMessage {
  char type = 0;
  std::string body;
};

class RawFrontend {
 public:
  /// Logs in as superuser by trust; throws std::runtime_error when refused.
  RawFrontend(const Endpoint& server, const std::string& database);
  ~RawFrontend();
  RawFrontend(const RawFrontend&) = delete;
  RawFrontend& operator=(const RawFrontend&) = delete;

  void send(const std::string& bytes);
  /// Everything up to and including ReadyForQuery.
  std::vector<BackendMessage> read_unit();
  std::vector<BackendMessage> exchange(const std::string& bytes) {
    send(bytes);
    return read_unit();
  }

 private:
  std::string read_exactly(std::size_t size);

  int socket_ = -1;
};

/// The fields of the first DataRow, NULL as an empty text; throws with the server's error where there is no
/// row.
std::vector<std::string> first_row(const std::vector<BackendMessage>& unit);
/// The SQLSTATE of the unit's ErrorResponse; empty where there is none.
std::string error_of(const std::vector<BackendMessage>& unit);

}  // namespace pgtandem::testing
