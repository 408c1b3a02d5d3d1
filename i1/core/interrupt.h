// Ctrl-C and its like: work ends between two of its steps, and destructors remove what is
// half-written.
#pragma once

#include <stdexcept>
#include <string>

namespace i1 {

/// The program was asked to end. `main` prints the message and exits with status 130.
class Interrupted : public std::runtime_error {
 public:
  explicit Interrupted(const std::string& message = "interrupted") : std::runtime_error(message) {}
};

/// From here on SIGINT, SIGTERM and SIGHUP only raise a flag; the same signal a second time ends
/// the program on the spot. Signals that the parent made the program ignore stay ignored.
void catch_interrupts();

bool is_interrupted();

/// Throws Interrupted once a signal came. For between the steps of whatever takes long.
void check_interrupt();

}  // namespace i1
