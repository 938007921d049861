// The entry of a participant that an event loop may be rung through.
#pragma once

#include <unistd.h>

#include "core/os/process.h"
#include "core/segment/layout.h"
#include "core/waiting/doorbell.h"

namespace sage {

/// An entry as the participant writes it whose event loop has that doorbell.
struct Entry : Participant<StdMemory> {
  explicit Entry(const Doorbell& bell, uint32_t tag = 7) {
    identity.store(Identity::make(1, 1, Identity::kLive));
    uid.store(geteuid());
    user_namespace.store(own_home().user_namespace);
    bell_tag.store(tag);
    bell_id.store(bell.id());
    bell_inode.store(bell.inode());
  }
};

}  // namespace sage
