// Boost.Interprocess message_queue, 64 B, one producer process, one consumer process.
//   boost_message_queue boost_message_queue MILLISECONDS
// Prints one JSON object: {"value": messages per second, "messages": how many were measured}.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/interprocess/ipc/message_queue.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace ipc = boost::interprocess;

namespace {

constexpr uint32_t kBytes = 64;

double run(uint64_t messages) {
  const std::string name = "bench-boost-" + std::to_string(getpid());
  ipc::message_queue::remove(name.c_str());
  ipc::message_queue queue(ipc::create_only, name.c_str(), 4096, kBytes);
  const pid_t child = fork();
  uint64_t message[kBytes / 8] = {};
  if (child == 0) {
    for (uint64_t number = 0; number < messages; ++number) {
      message[0] = number;
      queue.send(message, kBytes, 0);
    }
    _exit(0);
  }
  const auto start = std::chrono::steady_clock::now();
  uint64_t wrong = 0;
  for (uint64_t number = 0; number < messages; ++number) {
    ipc::message_queue::size_type length = 0;
    unsigned priority = 0;
    queue.receive(message, kBytes, length, priority);
    wrong += message[0] != number;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  int status = 0;
  waitpid(child, &status, 0);
  ipc::message_queue::remove(name.c_str());
  if (status != 0 || wrong != 0) {
    std::fprintf(stderr, "status %d, %llu bad messages\n", status, static_cast<unsigned long long>(wrong));
    std::exit(1);
  }
  return took.count();
}

}  // namespace

int main(int argc, char** argv) {
  const double milliseconds = argc > 2 ? std::atof(argv[2]) : 700;
  constexpr uint64_t kTrial = 20'000;
  const auto messages = std::max(kTrial, static_cast<uint64_t>(kTrial / run(kTrial) * milliseconds / 1000));
  std::printf("{\"value\":%.0f,\"messages\":%llu}\n", messages / run(messages),
              static_cast<unsigned long long>(messages));
  return 0;
}
