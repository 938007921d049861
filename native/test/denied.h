// What a busy machine takes from a test's processes: time in which one of them was ready to run and got no core because
// others had it, and time in which the machine itself had one core less, because its host ran something else. By the
// kernel's counts of how long each thread ran and how long it waited for a core (schedstat), which it writes once the
// thread has one again, and of what was stolen from each core (stat). Where it counts nothing, nothing was taken.
//
// Where nobody else wants the cores, a thread waits for one only while its own have all of them: what they ran of that
// time pays for the wait, and nothing is left.
#pragma once

#include <dirent.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "worker.h"

namespace sage {

class Denied {
 public:
  explicit Denied(std::string proc = "/proc") : proc_(std::move(proc)) {}

  /// Nothing that was before counts.
  void begin() {
    from_ = seconds();
    looked_at_ = 0;
    ran_ = 0;
    waits_.clear();
    threads_.clear();
    if (from_ - stolen_at_ > tick_) {
      stolen_at_ = from_;
      stolen_before_ = stolen_now();
    }
    stolen_ = 0;
    self_ = {};
    read_times(proc_ + "/self/schedstat", &self_);
  }

  /// What these processes have come to; who is new since the look before was born since. That this one, which looks,
  /// was kept waiting before this look counts where it is `over`, for it may have been over for as long, and where all
  /// of the others are dead or stopped, and so wait for this one.
  void look(const std::vector<pid_t>& processes, bool over) {
    const double now = seconds();
    const std::vector<double> stolen = stolen_now();
    for (size_t core = 0; core < std::min(stolen.size(), stolen_before_.size()); ++core) {
      stolen_ = std::max(stolen_, stolen[core] - stolen_before_[core]);
    }
    Times times = self_;
    read_times(proc_ + "/self/schedstat", &times);
    ran_ += times.ran - self_.ran;
    const double late = times.waited - self_.waited;
    if (late > 0 &&
        (over || std::none_of(processes.begin(), processes.end(), [&](pid_t one) { return goes_on(one); }))) {
      waits_.emplace_back(std::max(from_, now - late), now);
    }
    self_ = times;
    const bool first = looked_at_ == 0;
    if (first) looked_at_ = now;
    for (const pid_t process : processes) {
      const std::string folder = proc_ + "/" + std::to_string(process) + "/task/";
      DIR* stream = opendir(folder.c_str());
      if (stream == nullptr) continue;
      while (const dirent* entry = readdir(stream)) {
        const int thread = std::atoi(entry->d_name);
        if (thread == 0 || thread == getpid()) continue;
        if (!read_times(folder + entry->d_name + "/schedstat", &times)) continue;  // it has just ended
        Times& before = threads_.try_emplace(thread, first ? times : Times{}).first->second;
        ran_ += times.ran - before.ran;
        const double waited = times.waited - before.waited;
        if (waited > 0) waits_.emplace_back(std::max(looked_at_, now - waited), now);
        before = times;
      }
      closedir(stream);
    }
  }

  static int cores() {
    cpu_set_t own;
    return sched_getaffinity(0, sizeof own, &own) == 0 ? CPU_COUNT(&own) : 1;
  }

  /// Seconds until the last look that others are to blame for.
  double by_others() const {
    std::vector<std::pair<double, double>> waits = waits_;
    std::sort(waits.begin(), waits.end());
    double denied = 0;
    double until = from_;
    for (const auto& [from, to] : waits) {
      denied += std::max(0.0, to - std::max(from, until));
      until = std::max(until, to);
    }
    return std::max(denied - ran_ / cores(), stolen_);  // who waited behind what was stolen waited once
  }

 private:
  struct Times {
    double ran = 0;
    double waited = 0;
  };

  static bool read_times(const std::string& path, Times* times) {
    unsigned long long ran = 0;
    unsigned long long waited = 0;
    FILE* file = std::fopen(path.c_str(), "re");
    if (file == nullptr) return false;
    const bool read = std::fscanf(file, "%llu %llu", &ran, &waited) == 2;
    std::fclose(file);
    if (read) *times = {static_cast<double>(ran) * 1e-9, static_cast<double>(waited) * 1e-9};
    return read;
  }

  /// Of each core, in seconds.
  std::vector<double> stolen_now() const {
    std::vector<double> stolen;
    std::ifstream file(proc_ + "/stat");
    for (std::string line; std::getline(file, line) && line.rfind("cpu", 0) == 0;) {
      unsigned long long ticks = 0;
      const char* format = "cpu%*d %*u %*u %*u %*u %*u %*u %*u %llu";
      if (std::sscanf(line.c_str(), format, &ticks) == 1) stolen.push_back(static_cast<double>(ticks) * tick_);
    }
    return stolen;
  }

  /// Neither dead nor stopped.
  bool goes_on(pid_t process) const {
    std::ifstream file(proc_ + "/" + std::to_string(process) + "/stat");
    std::string line;
    std::getline(file, line);
    const size_t name_end = line.rfind(") ");
    return name_end != std::string::npos && std::string("TtZX").find(line[name_end + 2]) == std::string::npos;
  }

  const std::string proc_;
  const double tick_ = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));  // what the kernel counts that by
  std::vector<double> stolen_before_;
  double stolen_at_ = 0;
  double stolen_ = 0;
  double from_ = 0;
  double looked_at_ = 0;
  double ran_ = 0;
  std::vector<std::pair<double, double>> waits_;  // of any of them
  std::map<int, Times> threads_;
  Times self_;
};

}  // namespace sage
