#include "core/waiting/watcher.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <system_error>

#include "core/os/process.h"
#include "core/segment/layout.h"
#include "core/waiting/parking.h"

namespace sage {
namespace {

/// How often peers are asked after whose death the kernel gives no word of.
constexpr int kPollMs = 50;

/// Signals are the business of the host's threads: a thread made while this stands gets none.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

thread_local bool on_watchers_thread = false;

}  // namespace

struct Watcher::Run {
  int pipe_read = -1;
  int pipe_write = -1;
  uint64_t inode = 0;
  bool stop = false;
  std::map<uint64_t, int> death_watches;  // identity → descriptor, -1: has to be asked
  std::thread thread;

  /// False: no descriptor is left. The thread then looks every kPollMs, and tries again.
  bool open_pipe() {
    int ends[2];
    if (pipe(ends) != 0) return false;
    pipe_read = ends[0];
    pipe_write = ends[1];
    for (const int end : ends) {
      fcntl(end, F_SETFD, FD_CLOEXEC);
      fcntl(end, F_SETFL, O_NONBLOCK);
    }
    struct stat info;
    if (fstat(pipe_write, &info) == 0) inode = info.st_ino;
    return true;
  }
  Run() = default;
  ~Run() {
    for (const auto& watch : death_watches) {
      if (watch.second >= 0) close(watch.second);
    }
    if (pipe_read >= 0) close(pipe_read);
    if (pipe_write >= 0) close(pipe_write);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
};

Watcher& Watcher::instance() {
  // A forked child has neither the thread nor the clients of its parent's, and perhaps its lock held for ever: so it
  // has one of its own. None is ever deleted: the thread may still run when static destructors do.
  static std::atomic<Watcher*> current{nullptr};
  Watcher* watcher = current.load(std::memory_order_acquire);
  while (watcher == nullptr || watcher->forks_ != fork_generation()) {
    std::unique_ptr<Watcher> fresh(new Watcher);
    if (current.compare_exchange_strong(watcher, fresh.get(), std::memory_order_acq_rel)) return *fresh.release();
  }
  return *watcher;
}

Watcher::Watcher() : forks_(fork_generation()) {}

bool Watcher::is_this_thread() { return on_watchers_thread; }

/// False: the system gives no thread.
bool Watcher::start() {
  run_ = std::make_unique<Run>();
  run_->open_pipe();
  const SignalsBlocked blocked;
  try {
    run_->thread = std::thread(&Watcher::loop, this, run_.get());
  } catch (const std::system_error&) {
    run_.reset();
    return false;
  }
  return true;
}

bool Watcher::add(Client* client) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (std::find(clients_.begin(), clients_.end(), client) != clients_.end()) return true;
  if (run_ == nullptr && !start()) return false;
  clients_.push_back(client);
  client->watched_by(static_cast<uint32_t>(run_->pipe_write), run_->inode);
  poke();
  return true;
}

void Watcher::remove(Client* client) {
  std::unique_ptr<Run> ended;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    clients_.erase(std::remove(clients_.begin(), clients_.end(), client), clients_.end());
    follow_ups_.erase(client);
    if (!clients_.empty() || run_ == nullptr) return;
    run_->stop = true;
    poke();
    ended = std::move(run_);
  }
  ended->thread.join();
}

void Watcher::schedule(Client* client, int direction) {
  if (is_this_thread()) {  // from a call to that client: it is in, and the lock is held
    follow_up_at(client, direction, monotonic_ms() + kPollMs);
    return;
  }
  if (!add(client)) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  follow_up_at(client, direction, monotonic_ms() + kFollowUpMs);
  poke();
}

void Watcher::follow_up_at(Client* client, int direction, uint32_t due_ms) {
  const auto range = follow_ups_.equal_range(client);
  for (auto entry = range.first; entry != range.second; ++entry) {
    if (entry->second.direction == direction) return;
  }
  follow_ups_.emplace(client, FollowUp{due_ms, direction});
}

void Watcher::poke() {
  if (run_->pipe_write < 0) return;
  const char byte = 0;
  (void)!write(run_->pipe_write, &byte, 1);
}

/// What to wait for, and for how long.
int Watcher::build(Run* run, std::vector<pollfd>* descriptors, std::vector<uint64_t>* identities) {
  if (run->pipe_read < 0 && run->open_pipe()) {
    for (Client* client : clients_) client->watched_by(static_cast<uint32_t>(run->pipe_write), run->inode);
  }
  std::map<uint64_t, int> watches;
  bool died = false;
  // Newcomers announce themselves through the pipe, and so does the end.
  int timeout = can_ring_pipes() && run->pipe_read >= 0 ? -1 : kPollMs;
  for (Client* client : clients_) {
    for (const uint64_t identity : client->peers()) {
      if (watches.count(identity) != 0) continue;
      const auto known = run->death_watches.find(identity);
      int watch = known != run->death_watches.end() ? known->second : -1;
      if (watch < 0) {
        watch = open_death_watch(identity);
        if (watch < 0) {
          if (is_dead(identity)) died = true;
          timeout = kPollMs;
        }
      } else {
        run->death_watches.erase(known);
      }
      watches.emplace(identity, watch);
    }
  }
  for (const auto& gone : run->death_watches) {
    if (gone.second >= 0) close(gone.second);
  }
  run->death_watches = std::move(watches);
  if (died) {
    for (Client* client : clients_) client->peer_died();
  }
  descriptors->assign(1, pollfd{run->pipe_read, POLLIN, 0});
  identities->assign(1, 0);
  for (const auto& watch : run->death_watches) {
    if (watch.second < 0) continue;
    descriptors->push_back(pollfd{watch.second, POLLIN, 0});
    identities->push_back(watch.first);
  }
  const uint32_t now = monotonic_ms();
  for (const auto& entry : follow_ups_) {
    const int wait = std::max(0, static_cast<int>(entry.second.due_ms - now));
    timeout = timeout < 0 ? wait : std::min(timeout, wait);
  }
  return timeout;
}

void Watcher::loop(Run* run) {
  std::vector<pollfd> descriptors;
  std::vector<uint64_t> identities;
  on_watchers_thread = true;
  std::unique_lock<std::mutex> lock(mutex_);
  while (!run->stop) {
    const int timeout = build(run, &descriptors, &identities);
    lock.unlock();
    poll(descriptors.data(), descriptors.size(), timeout);
    lock.lock();
    if (run->stop) break;
    char bytes[64];
    while (read(run->pipe_read, bytes, sizeof bytes) > 0) {
    }
    const bool died = std::any_of(descriptors.begin() + 1, descriptors.end(),
                                  [](const pollfd& descriptor) { return descriptor.revents != 0; });
    if (died) {
      for (size_t index = 1; index < descriptors.size(); ++index) {
        if (descriptors[index].revents == 0) continue;
        close(descriptors[index].fd);
        run->death_watches.erase(identities[index]);
      }
      for (Client* client : clients_) client->peer_died();
    }
    const uint32_t now = monotonic_ms();
    std::vector<std::pair<Client*, int>> due;
    for (auto entry = follow_ups_.begin(); entry != follow_ups_.end();) {
      if (static_cast<int32_t>(entry->second.due_ms - now) <= 0) {
        due.emplace_back(entry->first, entry->second.direction);
        entry = follow_ups_.erase(entry);
      } else {
        ++entry;
      }
    }
    for (const auto& work : due) work.first->follow_up(work.second);
  }
}

}  // namespace sage
