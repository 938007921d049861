#include "core/waiting/watcher.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>

#include "core/os/nudges.h"
#include "core/os/platform.h"
#include "core/os/process.h"
#include "core/waiting/waiters.h"

namespace sage {
namespace {

/// How often peers are asked after of whose death the kernel gives no word.
constexpr int kPollMs = 50;
/// As often where it gave its word, and the address space of the dead is still looked at by somebody.
constexpr int kLingerMs = 5;

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
std::atomic<bool> paused{false};

constexpr int kGone = -1;  // instead of a descriptor: the process has ended, and is still among the peers

bool has_ended(int death_watch) {
  pollfd asked{death_watch, POLLIN, 0};
  return poll(&asked, 1, 0) > 0;
}

}  // namespace

struct Watcher::Run {
  int pipe_read = -1;
  std::atomic<int> pipe_write{-1};
  int nudges = -1;
  std::map<Client*, int> heard;           // its segment's number among the nudges, -1: it cannot be heard
  std::map<uint32_t, int> death_watches;  // by pid: a descriptor or kGone
  int poll_ms = -1;                       // how often to ask after peers; -1: never
  bool deaf = false;                      // whoever cannot ring cannot nudge either
  uint32_t asked_ms = 0;
  bool stop = false;
  bool missed = false;  // nudges, while it was paused
  std::thread thread;

  /// Where no descriptor is left, the thread looks every kPollMs, and tries again.
  void open_pipe() {
    int ends[2] = {-1, -1};
    if (platform::open_pipe(ends) != 0) return;
    pipe_read = ends[0];
    pipe_write = ends[1];
  }
  void ask_within(int milliseconds) { poll_ms = poll_ms < 0 ? milliseconds : std::min(poll_ms, milliseconds); }

  Run() = default;
  ~Run() {
    for (const auto& watch : death_watches) {
      if (watch.second >= 0) close(watch.second);
    }
    for (const int fd : {pipe_read, pipe_write.load(), nudges}) {
      if (fd >= 0) close(fd);
    }
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
bool Watcher::is_paused() { return paused.load(std::memory_order_acquire); }

/// False: the system gives no thread.
bool Watcher::start() {
  run_ = std::make_unique<Run>();
  run_->nudges = open_nudges();
  run_->missed = !clients_.empty();
  for (Client* client : clients_) listen(client);
  const SignalsBlocked blocked;
  try {
    run_->thread = std::thread(&Watcher::loop, this, run_.get());
  } catch (const std::system_error&) {
    run_.reset();
    return false;
  }
  paused.store(false, std::memory_order_release);
  return true;
}

/// Here and not in the thread: whoever cannot ring from now on is heard.
void Watcher::listen(Client* client) {
  run_->heard[client] = run_->nudges < 0 ? -1 : listen_to(run_->nudges, client->segment_descriptor());
}

void Watcher::pause() {
  std::unique_ptr<Run> ended;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (run_ == nullptr) return;
    run_->stop = true;
    poke();
    ended = std::move(run_);
    paused.store(true, std::memory_order_release);
  }
  ended->thread.join();
  on_watchers_thread = true;  // what is followed up and has to be once more is written down, and waits
  const std::multimap<Client*, FollowUp> due = std::move(follow_ups_);
  follow_ups_.clear();
  for (const auto& work : due) work.first->follow_up(work.second.direction);
  on_watchers_thread = false;
}

void Watcher::resume() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (run_ == nullptr && !follow_ups_.empty()) start();
}

bool Watcher::add(Client* client) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (run_ == nullptr && !start()) return false;
  if (std::find(clients_.begin(), clients_.end(), client) != clients_.end()) return true;
  clients_.push_back(client);
  listen(client);
  poke();
  return true;
}

void Watcher::remove(Client* client) {
  std::unique_ptr<Run> ended;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    clients_.erase(std::remove(clients_.begin(), clients_.end(), client), clients_.end());
    follow_ups_.erase(client);
    if (run_ == nullptr) return;
    const auto known = run_->heard.find(client);
    if (known != run_->heard.end()) {
      const int number = known->second;
      run_->heard.erase(known);
      const auto same = [&](const auto& other) { return other.second == number; };
      // One that cannot be heard has no number, of which the system wants to know nothing.
      if (std::none_of(run_->heard.begin(), run_->heard.end(), same)) stop_listening(run_->nudges, number);
    }
    if (!clients_.empty()) return;
    run_->stop = true;
    poke();
    ended = std::move(run_);
  }
  ended->thread.join();
}

bool Watcher::schedule(Client* client, int direction) {
  if (is_this_thread()) {  // from a call to that client: it is in, and the lock is held
    follow_up_at(client, direction, monotonic_ms() + kPollMs);
    return true;
  }
  if (!add(client)) return false;
  const std::lock_guard<std::mutex> lock(mutex_);
  follow_up_at(client, direction, monotonic_ms() + kFollowUpMs);
  poke();
  return true;
}

void Watcher::look_again() {
  // The run is there for as long as a client is and it is not paused.
  if (!is_this_thread() && !is_paused() && run_ != nullptr) poke();
}

void Watcher::follow_up_at(Client* client, int direction, uint32_t due_ms) {
  const auto range = follow_ups_.equal_range(client);
  for (auto entry = range.first; entry != range.second; ++entry) {
    if (entry->second.direction != direction) continue;
    // One that the thread put off comes sooner, now that somebody relies on it.
    if (static_cast<int32_t>(due_ms - entry->second.due_ms) < 0) entry->second.due_ms = due_ms;
    return;
  }
  follow_ups_.emplace(client, FollowUp{due_ms, direction});
}

void Watcher::poke() {
  const int pipe = run_->pipe_write;
  const char byte = 0;
  if (pipe >= 0) (void)!write(pipe, &byte, 1);
}

/// Has a descriptor for each near peer, and decides how often the others are asked after.
void Watcher::watch_peers(Run* run) {
  std::map<uint32_t, int> watches;
  bool look = false;
  run->poll_ms = run->deaf ? kPollMs : -1;
  for (Client* client : clients_) {
    for (const Peer& peer : client->peers()) {
      if (!peer.near) run->ask_within(kPollMs);
      if (!peer.near || watches.count(peer.pid) != 0) continue;
      const auto known = run->death_watches.find(peer.pid);
      int watch = known == run->death_watches.end() ? kGone : known->second;
      run->death_watches.erase(peer.pid);
      if (watch == kGone) {
        watch = open_death_watch(peer.pid);
        look = true;  // whether it is that process: if it is alive now, it was so before
        if (watch < 0 && errno != ESRCH) {
          run->ask_within(kPollMs);
          continue;
        }
        if (watch >= 0 && has_ended(watch)) {
          close(watch);
          watch = kGone;
        }
      }
      if (watch == kGone) run->ask_within(kLingerMs);
      watches.emplace(peer.pid, watch);
    }
  }
  for (const auto& gone : run->death_watches) {
    if (gone.second >= 0) close(gone.second);
  }
  run->death_watches = std::move(watches);
  if (!look) return;
  for (Client* client : clients_) client->look_after_peers();
}

/// What to wait for, and for how long.
int Watcher::prepare(Run* run, std::vector<pollfd>* descriptors) {
  if (run->pipe_read < 0) run->open_pipe();
  run->deaf = std::any_of(run->heard.begin(), run->heard.end(), [](const auto& client) { return client.second < 0; });
  watch_peers(run);
  int timeout = run->pipe_read >= 0 ? run->poll_ms : kPollMs;
  descriptors->assign({pollfd{run->pipe_read, POLLIN, 0}, pollfd{run->nudges, POLLIN, 0}});
  for (const auto& watch : run->death_watches) {
    if (watch.second >= 0) descriptors->push_back(pollfd{watch.second, POLLIN, 0});
  }
  const uint32_t now = monotonic_ms();
  for (const auto& entry : follow_ups_) {
    const int wait = std::max(0, static_cast<int>(entry.second.due_ms - now));
    timeout = timeout < 0 ? wait : std::min(timeout, wait);
  }
  return timeout;
}

void Watcher::handle(Run* run, const std::vector<pollfd>& descriptors) {
  char bytes[64];
  while (read(run->pipe_read, bytes, sizeof bytes) > 0) {
  }
  if (run->nudges >= 0 && take_nudges(run->nudges)) {
    for (Client* client : clients_) client->nudged(true);
  }
  bool look = false;
  for (auto& watch : run->death_watches) {
    const auto fired = [&](const pollfd& descriptor) {
      return descriptor.fd == watch.second && descriptor.revents != 0;
    };
    if (std::none_of(descriptors.begin(), descriptors.end(), fired)) continue;  // no descriptor never fires
    close(watch.second);
    watch.second = kGone;  // and watch_peers has everybody look
  }
  const uint32_t now = monotonic_ms();
  if (run->poll_ms >= 0 && now - run->asked_ms >= static_cast<uint32_t>(run->poll_ms)) {
    run->asked_ms = now;
    look = true;
    if (run->deaf) {
      for (Client* client : clients_) client->nudged(false);
    }
  }
  if (!look) return;
  for (Client* client : clients_) client->look_after_peers();
}

void Watcher::do_follow_ups() {
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

void Watcher::loop(Run* run) {
  std::vector<pollfd> descriptors;
  on_watchers_thread = true;
  std::unique_lock<std::mutex> lock(mutex_);
  if (run->missed) {
    for (Client* client : clients_) client->nudged(true);
  }
  while (!run->stop) {
    const int timeout = prepare(run, &descriptors);
    lock.unlock();
    poll(descriptors.data(), descriptors.size(), timeout);
    lock.lock();
    if (run->stop) break;
    handle(run, descriptors);
    do_follow_ups();
  }
}

}  // namespace sage
