/// The beginning of a program, up to the moment when it serves: with `daemon` in the background, while the
/// process that was started waits, so that its terminal sees every error of the start and its exit status
/// tells whether the program serves.
#pragma once
#include <string>

#include "common/base/result.h"
#include "common/process/pid-file.h"

namespace pgtandem {

class Launch {
 public:
  /// With `daemon` this returns in the background process only; the one that was started stays here, waits
  /// for ready() or failed(), and exits. Call before there are threads, locks or connections. Fails if the
  /// system has no room for another process.
  static Result<Launch> begin(bool daemon);

  Launch() = default;
  Launch(Launch&& other) noexcept;
  Launch& operator=(Launch&& other) noexcept;
  /// Neither ready nor failed: whoever waits learns that the start ended without a word.
  ~Launch();

  /// Fails if another instance has the file. It is removed with this object.
  Result<void> take_pid_file(const std::string& path);
  /// To be called where the process ends without destructors: nothing is left behind, and a service manager that
  /// wants to know hears of it.
  void ended(int status);

  /// It serves: whoever waits exits with 0, and the terminal is let go.
  void ready();
  /// It does not, and has said why on standard error: whoever waits exits with `status`. Gives it back.
  int failed(int status);

 private:
  void tell(int status);

  int waiting_ = -1;  ///< the end of a pipe at which the started process waits; -1: nobody does
  PidFile pid_file_;
};

}  // namespace pgtandem
