"""Where this process lives, as far as it decides which shared memory it can reach."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any


def segment_directory() -> str:
    """Where this process looks for segments; the core reads the same variable."""
    asked = os.environ.get("SAGE_QUEUE_DIR")
    if asked:
        return asked.rstrip("/") or "/"
    return "/private/tmp" if sys.platform == "darwin" else "/dev/shm"


def _attempt(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except OSError:
        return None


def _boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def host_identity() -> dict[str, Any]:
    """As it stands in the metadata of `auto`. None: the system does not tell."""
    return {
        "owner_boot_id": _attempt(_boot_id),
        "owner_shm_device": _attempt(lambda: os.stat(segment_directory()).st_dev),
        "owner_shm_inode": _attempt(lambda: os.stat(segment_directory()).st_ino),
        "owner_pid_namespace": _attempt(lambda: os.readlink("/proc/self/ns/pid")),
    }
