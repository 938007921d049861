#include "core/waiting/doorbell.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <random>
#include <set>
#include <vector>

#include "core/os/platform.h"
#include "core/os/process.h"
#include "core/segment/failures.h"

namespace sage {
namespace {

// Not the prefix of segments.
constexpr const char* kPrefix = "sage-queue-bell+";
constexpr int kAttempts = 8;

std::string path_of(const std::string& directory, uint64_t id) {
  char name[40];
  std::snprintf(name, sizeof name, "%s%016llx", kPrefix, static_cast<unsigned long long>(id));
  return directory + "/" + name;
}

uint64_t random_id() {
  std::random_device random;
  return (uint64_t{random()} << 32) | random();
}

/// Names to take away where the process ends without destructors: exit() out of the middle of an event loop.
struct Names {
  std::mutex mutex;
  std::set<std::string> paths;
  uint32_t forks = fork_generation();

  static Names& instance() {
    static auto* names = new Names;  // outlives every static destructor
    static const int registered = std::atexit([] { instance().remove_all(); });
    (void)registered;
    return *names;
  }
  void remove_all() {
    if (forks != fork_generation()) return;  // they are the parent's
    const std::lock_guard<std::mutex> lock(mutex);
    for (const std::string& path : paths) unlink(path.c_str());
    paths.clear();
  }
  void add(const std::string& path) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (forks != fork_generation()) paths.clear();
    forks = fork_generation();
    paths.insert(path);
  }
  void remove(const std::string& path) {
    const std::lock_guard<std::mutex> lock(mutex);
    paths.erase(path);
  }
};

enum class Listener { kSomebody, kNobody, kUnknown };

/// Nobody: this is no doorbell any more, and its name is never used again.
Listener listener_of(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0) {
    close(fd);
    return Listener::kSomebody;
  }
  struct stat info;
  return errno == ENXIO && lstat(path.c_str(), &info) == 0 && S_ISFIFO(info.st_mode) ? Listener::kNobody
                                                                                     : Listener::kUnknown;
}

/// Keeps SIGPIPE from a program that does not ignore it, as Node does.
class NoSignal {
 public:
  explicit NoSignal(bool needed) : needed_(needed) {
    if (!needed_) return;
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    if (sigismember(&pending, SIGPIPE) != 0) needed_ = false;
    if (needed_) pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoSignal() {
    if (!needed_) return;
    sigset_t pending;
    sigpending(&pending);
    int taken = 0;
    if (sigismember(&pending, SIGPIPE) != 0) sigwait(&pipe_, &taken);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoSignal(const NoSignal&) = delete;
  NoSignal& operator=(const NoSignal&) = delete;

 private:
  bool needed_;
  sigset_t pipe_;
  sigset_t before_;
};

bool pipe_signal_kills() {
  struct sigaction action;
  return sigaction(SIGPIPE, nullptr, &action) != 0 || action.sa_handler != SIG_IGN;
}

}  // namespace

std::unique_ptr<Doorbell> Doorbell::make(const std::string& directory, const Audience& audience) {
  std::unique_ptr<Doorbell> bell(new Doorbell);
  bell->forks_ = fork_generation();
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (bell->make_named(directory, audience)) return bell;
    if (passes(errno)) fail_resources("make the doorbell of an event loop", errno);
    if (errno != EEXIST && errno != ENOENT) break;
  }
  int ends[2];
  if (platform::open_pipe(ends) != 0) fail_resources("make the doorbell of an event loop", errno);
  bell->read_end_ = ends[0];
  bell->write_end_ = ends[1];
  return bell;
}

/// False and errno; then nothing is left of it.
bool Doorbell::make_named(const std::string& directory, const Audience& audience) {
  id_ = random_id();
  path_ = path_of(directory, id_);
  if (mkfifo(path_.c_str(), 0600) != 0) {
    path_.clear();
    return false;
  }
  const int error = open_ends(audience);
  if (error == 0) {
    Names::instance().add(path_);
    return true;
  }
  if (read_end_ >= 0) close(read_end_);
  if (write_end_ >= 0) close(write_end_);
  read_end_ = write_end_ = -1;
  unlink(path_.c_str());
  path_.clear();
  errno = error;
  return false;
}

/// 0 or an errno. Somebody who sweeps may have taken the name since it was made: ENOENT, whatever lies there by now.
int Doorbell::open_ends(const Audience& audience) {
  struct stat info;
  read_end_ = open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  if (read_end_ < 0 || fstat(read_end_, &info) != 0) return errno;
  if (!S_ISFIFO(info.st_mode)) return ENOENT;
  write_end_ = open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  if (write_end_ < 0) return errno;
  if (info.st_gid != audience.gid && (audience.mode & 0020) != 0) (void)!fchown(read_end_, -1, audience.gid);
  fchmod(read_end_, 0600 | (audience.mode & 0022));
  struct stat named;
  if (lstat(path_.c_str(), &named) != 0) return errno;
  if (named.st_ino != info.st_ino) return ENOENT;
  inode_ = info.st_ino;
  return 0;
}

Doorbell::~Doorbell() {
  if (write_end_ >= 0) close(write_end_);
  if (path_.empty() || forks_ != fork_generation()) return;
  unlink(path_.c_str());
  Names::instance().remove(path_);
}

bool Doorbell::remove_left(const std::string& directory, uint64_t id) {
  const std::string path = path_of(directory, id);
  const Listener listener = listener_of(path);
  if (listener == Listener::kNobody) unlink(path.c_str());
  return listener != Listener::kSomebody;
}

uint32_t Doorbell::sweep(const std::string& directory) {
  DIR* stream = opendir(directory.c_str());
  if (stream == nullptr) return 0;
  uint32_t removed = 0;
  while (const dirent* entry = readdir(stream)) {
    if (std::strncmp(entry->d_name, kPrefix, std::strlen(kPrefix)) != 0) continue;
    const std::string path = directory + "/" + entry->d_name;
    if (listener_of(path) == Listener::kNobody && unlink(path.c_str()) == 0) ++removed;
  }
  closedir(stream);
  return removed;
}

// ── ringing ────────────────────────────────────────────────────────────────

struct Ringer::Known {
  struct Bell {
    uint64_t identity = 0;
    uint64_t id = 0;
    int fd = -1;
    bool signals = false;
  };
  std::mutex mutex;
  std::vector<Bell> bells = std::vector<Bell>(kParticipants);
  uint32_t forks = fork_generation();
};

Ringer::Ringer(std::string directory) : directory_(std::move(directory)), known_(new Known) {}

Ringer::~Ringer() {
  if (known_->forks != fork_generation()) {
    (void)known_.release();  // the parent's watcher may have had its lock during the fork
    return;
  }
  for (const Known::Bell& bell : known_->bells) {
    if (bell.fd >= 0) close(bell.fd);
  }
}

Ring Ringer::ring(uint32_t index, const Participant<StdMemory>& entry) {
  const uint64_t inode = entry.bell_inode.load(std::memory_order_acquire);
  if (inode == 0) return Ring::kUnheard;
  const uint64_t id = entry.bell_id.load(std::memory_order_relaxed);
  const uint32_t tag = entry.bell_tag.load(std::memory_order_relaxed);
  const uint64_t identity = entry.identity.load(std::memory_order_acquire);
  const std::lock_guard<std::mutex> lock(known_->mutex);
  Known::Bell& bell = known_->bells[index];
  if (bell.fd < 0 || bell.identity != identity || bell.id != id) {
    if (bell.fd >= 0) close(bell.fd);
    bell = Known::Bell();
    // Nothing but a doorbell in this directory can be opened so, whatever the words of the segment say.
    const int fd = open(path_of(directory_, id).c_str(), O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return errno == ENXIO ? Ring::kSent : passes(errno) ? Ring::kLater : Ring::kUnheard;
    struct stat info;
    const uint64_t users = own_home().user_namespace;
    const bool comparable = users != 0 && users == entry.user_namespace.load(std::memory_order_relaxed);
    if (fstat(fd, &info) != 0 || !S_ISFIFO(info.st_mode) || info.st_ino != inode ||
        (comparable && info.st_uid != entry.uid.load(std::memory_order_relaxed))) {
      close(fd);
      return Ring::kUnheard;
    }
    bell.fd = fd;
    bell.identity = identity;
    bell.id = id;
    bell.signals = pipe_signal_kills();
  }
  const NoSignal quiet(bell.signals);
  // A full pipe is readable already, and of a broken one nobody is left.
  (void)!write(bell.fd, &tag, sizeof tag);
  return Ring::kSent;
}

}  // namespace sage
