#include "server-relay/tool/edited-file.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace pgtandem::tool {
namespace {

Error failed(const std::string& what, const std::string& path, int code = errno) {
  return Error{what + " '" + path + "': " + std::strerror(code)};
}

std::string folder_of(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

Result<std::string> read_text(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || (file.peek() != EOF && !(text << file.rdbuf()))) return failed("cannot read", path);
  return text.str();
}

/// The new text beside the file, under a name of its own; gone with the object unless it has become the file.
class Draft {
 public:
  static Result<Draft> create(const std::string& path) {
    std::string name = path + ".XXXXXX";
    const int fd = ::mkostemp(name.data(), O_CLOEXEC);
    if (fd < 0) return failed("cannot write in folder", folder_of(path));
    return Draft(fd, std::move(name));
  }
  Draft(Draft&& other) noexcept : fd_(std::exchange(other.fd_, -1)), name_(std::move(other.name_)) {}
  Draft& operator=(Draft&&) = delete;
  ~Draft() {
    if (fd_ < 0) return;
    ::close(fd_);
    ::unlink(name_.c_str());
  }

  const std::string& name() const { return name_; }

  Result<void> write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return failed("cannot write", name_);
      bytes.remove_prefix(std::size_t(written));
    }
    return {};
  }

  /// Owner first: a change of the owner takes bits of the mode away.
  Result<void> belong_as(const std::string& path) {
    struct stat from {};
    struct stat own {};
    if (::stat(path.c_str(), &from) != 0) return failed("cannot look at", path);
    if (::fstat(fd_, &own) != 0) return failed("cannot look at", name_);
    const bool same = own.st_uid == from.st_uid && own.st_gid == from.st_gid;
    if (!same && ::fchown(fd_, from.st_uid, from.st_gid) != 0)
      return failed("cannot keep the owner of", path);
    if (::fchmod(fd_, from.st_mode & 07777U) != 0) return failed("cannot keep the mode of", path);
    return {};
  }

  Result<void> become(const std::string& path) {
    if (::fsync(fd_) != 0) return failed("cannot write", name_);
    if (::rename(name_.c_str(), path.c_str()) != 0) return failed("cannot replace", path);
    ::close(std::exchange(fd_, -1));
    return {};
  }

 private:
  Draft(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}

  int fd_;
  std::string name_;
};

/// A message about the draft is one about the file.
std::string about_file(std::string text, const std::string& draft, const std::string& path) {
  for (std::size_t at = 0; (at = text.find(draft, at)) != std::string::npos; at += path.size())
    text.replace(at, draft.size(), path);
  return text;
}

Result<Draft> checked_draft(const std::string& path, std::string_view text, const EditedFile::Check& check) {
  Result<Draft> draft = Draft::create(path);
  if (!draft) return draft;
  if (const Result<void> written = draft->write(text); !written) return Error{written.error()};
  if (const Result<void> kept = draft->belong_as(path); !kept) return Error{kept.error()};
  if (const Result<void> good = check(draft->name()); !good)
    return Error{about_file(good.error(), draft->name(), path)};
  return draft;
}

}  // namespace

Result<EditedFile> EditedFile::open(const std::string& path) {
  std::error_code error;
  const std::string target = std::filesystem::canonical(path, error).string();
  if (error) return Error{"cannot read '" + path + "': " + error.message()};
  if (!std::filesystem::is_regular_file(target, error)) return Error{"'" + target + "' is no regular file"};
  EditedFile file(::open(folder_of(target).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), target);
  if (file.folder_ < 0) return failed("cannot open folder", folder_of(target));
  if (::flock(file.folder_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failed("cannot lock folder", folder_of(target));
    return Error{"another pgtandem is changing '" + target + "' right now"};
  }
  Result<std::string> text = read_text(target);
  if (!text) return Error{text.error()};
  file.text_ = std::move(*text);
  return file;
}

EditedFile::EditedFile(EditedFile&& other) noexcept
    : folder_(std::exchange(other.folder_, -1)),
      path_(std::move(other.path_)),
      text_(std::move(other.text_)) {}

EditedFile::~EditedFile() {
  if (folder_ >= 0) ::close(folder_);
}

Result<void> EditedFile::try_out(std::string_view text, const Check& check) const {
  const Result<Draft> draft = checked_draft(path_, text, check);
  if (!draft) return Error{draft.error()};
  return {};
}

Result<void> EditedFile::replace(std::string_view text, const Check& check) const {
  Result<Draft> draft = checked_draft(path_, text, check);
  if (!draft) return Error{draft.error()};
  const Result<std::string> now = read_text(path_);
  if (!now) return Error{now.error()};
  if (*now != text_) return Error{"'" + path_ + "' has been changed meanwhile by somebody else"};
  if (const Result<void> done = draft->become(path_); !done) return done;
  if (::fsync(folder_) != 0) return failed("cannot write", folder_of(path_));
  return {};
}

}  // namespace pgtandem::tool
