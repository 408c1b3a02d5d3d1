#include "i1/core/interrupt.h"

#include <csignal>

namespace i1 {
namespace {

volatile std::sig_atomic_t has_come = 0;

}  // namespace

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int) { has_come = 1; };
  // No SA_RESTART: a read that waits for a terminal or a pipe must return.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before = {};
    ::sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) ::sigaction(signal, &action, nullptr);
  }
}

bool is_interrupted() { return has_come != 0; }

void check_interrupt() {
  if (is_interrupted()) throw Interrupted();
}

}  // namespace i1
