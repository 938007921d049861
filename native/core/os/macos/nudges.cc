#include "core/os/nudges.h"

namespace sage {

// Who waits here looks by itself now and then, and finds that it was rung.
int open_nudges() { return -1; }
int listen_to(int, int) { return -1; }
void stop_listening(int, int) {}
bool take_nudges(int) { return false; }
bool nudge(int) { return true; }

}  // namespace sage
