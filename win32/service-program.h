/// A program that is also a Windows service: what stands behind its name is the same for both of ours.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/log.h"
#include "common/base/result.h"
#include "win32/service-plan.h"

namespace pgtandem::win32 {

using Words = std::vector<std::string>;

/// The words as an argv behind the program's name.
class Arguments {
 public:
  Arguments(const std::string& program, const Words& words) : words_(words) {
    words_.insert(words_.begin(), program);
    for (const std::string& word : words_) pointers_.push_back(word.c_str());
  }
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;
  int count() const { return int(pointers_.size()); }
  const char* const* values() const { return pointers_.data(); }

 private:
  Words words_;
  std::vector<const char*> pointers_;
};

/// What one program says about itself. `words`: its own options.
struct ServiceProgram {
  ServicePlan plan;
  /// Said where `install` finds none and is given none.
  std::string no_settings;
  /// The content of a settings file with what the words say; checked, so that no service is made that cannot
  /// start.
  std::function<Result<std::string>(const Words& words, const std::string& data_folder)> settings_text;
  /// The words with what a service's settings may leave out: where its state and log are. Checked.
  std::function<Result<Words>(const Words& words, const std::string& data_folder)> for_service;
  std::function<int(const Words& words)> run;
  std::function<int(const Words& words)> serve;  ///< the same as a service, which has no console
  /// Which of the log's lines the event log is offered (event-table.h chooses among them); none: all.
  std::function<bool(log::Level level, std::string_view event)> for_event_log;
};

/// The whole of main(): the exit status.
int run_service_program(const ServiceProgram& program, const Words& words);

}  // namespace pgtandem::win32
