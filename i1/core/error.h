// The one error style: a wrong file, flag or config throws UserError with what was found, where,
// what was expected and what to do; `main` prints it on one line. Asserts are for our own mistakes.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace i1 {

/// The user's mistake: bad input, flag, file or size. `main` prints the message and exits with
/// status 2.
class UserError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A failure of ours or of the machine: disk full, no memory, lost process. `main` exits with
/// status 1.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The parts of a message, streamed one after the other.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// Throws UserError(parts...) unless `ok`.
template <class... Parts>
void check_user(bool ok, const Parts&... parts) {
  if (!ok) throw UserError(concat(parts...));
}

/// Throws Failure(parts...) unless `ok`.
template <class... Parts>
void check_machine(bool ok, const Parts&... parts) {
  if (!ok) throw Failure(concat(parts...));
}

}  // namespace i1
