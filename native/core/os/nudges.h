// Word from one who could not ring: it writes a byte into the segment's file through the descriptor it has, which needs
// nobody's permission any more, and the system tells everybody who listens to that file. Not the way of every ring,
// since all of them are woken by it.
#pragma once

#include <cstdint>

namespace sage {

/// A descriptor that becomes readable by nudges; -1 where there is no such thing or none is left.
int open_nudges();

/// Listens to the file that is open at `segment`. -1: it cannot; otherwise what stop_listening() takes. One file has
/// one number, however often it is asked for.
int listen_to(int nudges, int segment);
void stop_listening(int nudges, int number);

/// Takes what there is. True: there was a nudge.
bool take_nudges(int nudges);

/// False: it could not be done.
bool nudge(int segment);

}  // namespace sage
