// Every schedule of the small histories, and whether that search notices what is wrong.
#pragma once

namespace model {

/// How many preemptions: as in the ordinary test run, as in the long one, or as asked for.
enum class Form { kShort, kLong, kAsked };

/// Explores every history (whose name contains `name`) and says what was explored. False when a schedule failed, or
/// when a search did not end.
bool exhaust(const char* name, Form form, unsigned preemptions_asked = 0);

/// Explores every history (whose name contains `name`) with none and with one preemption at most, until one fails, and
/// says which, and how. False when one did.
bool exhaust_until_noticed(const char* name);

/// Weakens every order (whose name contains `name`), one at a time, and says which history notices with up to `bound`
/// preemptions. False when one is not noticed.
bool exhaust_mutated(const char* name, unsigned bound);

}  // namespace model
