// What those who are about to sleep ask of the process around them.
#include "handles.h"

using namespace sage;

TEST(who_is_about_to_sleep_asks_who_has_come_and_once_only) {
  Handles handles;
  handles.sleep(1, kGetters);
  CHECK(handles.process.looks == 0);
  handles.shared.control->life.fetch_add(1);
  handles.sleep_again(1, kGetters);
  handles.sleep_again(1, kGetters);
  CHECK(handles.process.looks == 1);
  handles.shared.control->life.fetch_add(1);
  CHECK(handles.waking(1).rung(kGetters) == Step::kTry);
  CHECK(handles.waking(1).tried(kGetters, Bell::kInLoop, true) == Step::kDone && handles.process.looks == 1);
}
