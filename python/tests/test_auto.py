"""`auto`: the owner's shared memory where it is within reach, its rpc endpoint elsewhere."""

import json
import subprocess

import pytest

from conftest import NODE, ROOT, needs_node
from sage_queue import (
    InvalidDescriptorError,
    QueueConnectionError,
    QueueDescriptor,
    QueueNotFoundError,
    get_sage_queue,
    resolve_descriptor,
)


def elsewhere(made, **more):
    """As somebody on another host would have made it."""
    return QueueDescriptor(made.queue_id, "auto", {**made.metadata, "owner_boot_id": "another-boot", **more})


def test_on_the_owners_host_it_is_the_sage_queue(name):
    descriptor = QueueDescriptor.create_auto_queue(name, maxsize=7)
    with resolve_descriptor(descriptor) as queue, get_sage_queue(name) as owner:
        queue.put("hello")
        assert owner.get(timeout=20) == "hello"
        assert queue.stats()["queue_type"] == "sage_queue" and queue.stats()["maxsize"] == 7
        assert queue.descriptor == descriptor


@needs_node
def test_elsewhere_it_is_the_endpoint(name, server):
    pytest.importorskip("grpc")
    rpc = {"server_address": "127.0.0.1", "port": server.port}
    with get_sage_queue(name) as owner:
        with resolve_descriptor(elsewhere(QueueDescriptor.create_auto_queue(name, rpc=rpc))) as queue:
            queue.put("hello", timeout=20)
            assert owner.get(timeout=20) == "hello"
            assert queue.stats()["queue_type"] == "rpc" and queue.descriptor.queue_type == "auto"
        owner.unlink()


def test_elsewhere_without_an_endpoint_it_says_why(name):
    made = QueueDescriptor.create_auto_queue(name)
    with pytest.raises(QueueConnectionError, match="boot id another-boot.*rpc"):
        resolve_descriptor(elsewhere(made))
    other_folder = QueueDescriptor(name, "auto", {**made.metadata, "owner_shm_inode": 2**40})
    with pytest.raises(QueueConnectionError, match=f"inode {2**40}"):
        resolve_descriptor(other_folder)
    with pytest.raises(InvalidDescriptorError):
        elsewhere(made, rpc="here")


def test_in_another_container_it_makes_nothing_of_its_own(name):
    made = QueueDescriptor.create_auto_queue(name)
    foreign = QueueDescriptor(name, "auto", {**made.metadata, "owner_pid_namespace": "pid:[1]"})
    with pytest.raises(QueueNotFoundError):
        resolve_descriptor(foreign)
    with resolve_descriptor(made), resolve_descriptor(foreign) as queue:
        assert queue.empty()


@needs_node
def test_node_and_python_describe_this_host_alike(name):
    code = f"console.log(require({json.dumps(str(ROOT / 'dist/index.js'))}).QueueDescriptor.createAutoQueue({json.dumps(name)}, {{ maxsize: 5 }}).toJSON())"
    code = code.replace("console.log(", "console.log(JSON.stringify(").replace(".toJSON())", "))")
    text = subprocess.run([NODE, "-e", code], capture_output=True, text=True, check=True, timeout=60).stdout
    theirs = QueueDescriptor.from_json(text)
    ours = QueueDescriptor.create_auto_queue(name, maxsize=5)
    present = {key: value for key, value in ours.metadata.items() if value is not None}
    assert {key: value for key, value in theirs.metadata.items() if value is not None} == present
    with resolve_descriptor(theirs) as queue:
        assert queue.stats()["queue_type"] == "sage_queue"
