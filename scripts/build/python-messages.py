"""Writes python/src/sage_queue/rpc/messages.py from proto/sagequeue/v1/queue.proto: python-messages.py [--print]

It takes grpcio-tools; whoever uses the package needs neither that nor protoc, and any later protobuf reads what is written.
"""

import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2
from grpc_tools import protoc

ROOT = Path(__file__).parent.parent.parent
SOURCE = "sagequeue/v1/queue.proto"
TARGET = ROOT / "python/src/sage_queue/rpc/messages.py"

HEAD = '''"""The messages of proto/sagequeue/v1/queue.proto. Written by scripts/build/python-messages.py: change that file, and run this."""

from typing import Any

from google.protobuf import descriptor_pool, message_factory

_FILE = (
'''
TAIL = '''
)

_pool = descriptor_pool.DescriptorPool()  # not the default one, which the program may have filled from the same file
_pool.AddSerializedFile(_FILE)


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"sagequeue.v1.{name}"))


'''


def descriptor() -> bytes:
    """The file as protoc reads it, without its comments."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "set")
        if protoc.main(["protoc", f"-I{ROOT / 'proto'}", f"--descriptor_set_out={out}", SOURCE]) != 0:
            raise SystemExit(f"{SOURCE} cannot be compiled")
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    return files.file[0].SerializeToString(deterministic=True)


def module() -> str:
    data = descriptor()
    lines = [f"    {data[at : at + 32]!r}" for at in range(0, len(data), 32)]
    names = sorted(message.name for message in descriptor_pb2.FileDescriptorProto.FromString(data).message_type)
    return HEAD + "\n".join(lines) + TAIL + "\n".join(f'{name} = _message("{name}")' for name in names) + "\n"


if __name__ == "__main__":
    if "--print" in sys.argv:
        print(module(), end="")
    else:
        TARGET.write_text(module())
