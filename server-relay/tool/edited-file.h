/// A text file of the operator's that is replaced as a whole: read, then given another text, with the owner
/// and the mode that it had; who reads it meanwhile finds one of the two. Links are followed to the file
/// itself. While an object lives, a second one of a file in the same folder is refused, also in another
/// process.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace pgtandem::tool {

class EditedFile {
 public:
  static Result<EditedFile> open(const std::string& path);
  EditedFile(EditedFile&& other) noexcept;
  EditedFile& operator=(EditedFile&&) = delete;
  EditedFile(const EditedFile&) = delete;
  ~EditedFile();

  /// Of the file itself.
  const std::string& path() const { return path_; }
  const std::string& text() const { return text_; }

  /// Looks at a draft with the new text, beside the file; an error is the reason not to take it.
  using Check = std::function<Result<void>(const std::string& draft)>;
  /// Is the draft good? Nothing of it stays.
  Result<void> try_out(std::string_view text, const Check& check) const;
  /// Durable when it returns. Refused where the check refuses, or the file has changed since it was read.
  Result<void> replace(std::string_view text, const Check& check) const;

 private:
  EditedFile(int folder, std::string path) : folder_(folder), path_(std::move(path)) {}

  int folder_;  ///< locked
  std::string path_;
  std::string text_;
};

}  // namespace pgtandem::tool
