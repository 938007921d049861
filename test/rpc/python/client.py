"""A client in another language, made from proto/sagequeue/v1/queue.proto alone: client.py HOST:PORT PROTO_DIR GENERATED_DIR [TOKEN]"""

import json
import os
import queue
import sys

import grpc
from grpc_tools import protoc

target, proto_dir, generated = sys.argv[1:4]
token = sys.argv[4] if len(sys.argv) > 4 else None
assert protoc.main(
    ["protoc", f"-I{proto_dir}", f"--python_out={generated}", f"--grpc_python_out={generated}", "sagequeue/v1/queue.proto"]
) == 0
sys.path.insert(0, generated)
from sagequeue.v1 import queue_pb2 as pb  # noqa: E402
from sagequeue.v1 import queue_pb2_grpc as rpc  # noqa: E402

RAW, MSGPACK, JSON = 1, 2, 3


def unpack(items):
    """Lengths and codecs are one for each item, one for all, or left out."""
    lengths = items.lengths or [len(items.data)]
    codecs = items.codec or [RAW]
    values, start = [], 0
    for i in range(items.count):
        data = items.data[start : start + lengths[i if len(lengths) > 1 else 0]]
        start += len(data)
        values.append(json.loads(data) if codecs[i if len(codecs) > 1 else 0] == JSON else data.decode())
    return values


class Handle:
    """One stream: the frames to send go through a queue, the received ones come from the call itself."""

    def __init__(self, channel, queue_id, client_id):
        self.frames = queue.Queue()
        metadata = [("authorization", f"Bearer {token}")] if token else []
        self.frames.put(pb.ClientFrame(open=pb.Open(protocol_version=1, queue_id=queue_id, client_id=client_id)))
        self.call = rpc.QueueServiceStub(channel).Attach(iter(self.frames.get, None), metadata=metadata)
        self.opened = next(self.call).opened
        self.sequence = 1
        self.request = 1
        self.settle = 1

    def put(self, values):
        encoded = [json.dumps(value).encode() for value in values]
        items = pb.Items(
            data=b"".join(encoded), count=len(encoded), lengths=[len(data) for data in encoded], codec=[JSON]
        )
        first, count = self.sequence, len(values)
        self.frames.put(pb.ClientFrame(puts=[pb.Put(sequence=first, items=items)]))
        self.sequence += count
        applied = 0
        while applied < count:
            result = next(self.call).put_result
            assert not result.rejected, result.rejected
            applied += sum(part.count for part in result.applied)

    def get(self, most, wait_ms=None):
        get = pb.Get(request=self.request, max=most)
        if wait_ms is not None:
            get.wait_ms = wait_ms
        self.request += 1
        self.frames.put(pb.ClientFrame(gets=[get]))
        answer = next(self.call)
        if answer.failures:
            return answer.failures[0].code
        (delivery,) = answer.deliveries
        self.frames.put(
            pb.ClientFrame(settles=[pb.Settle(settle=self.settle, tag=delivery.tag, count=delivery.items.count)])
        )
        assert list(next(self.call).settled.done) == [self.settle]
        self.settle += 1
        return unpack(delivery.items)

    def close(self):
        self.frames.put(pb.ClientFrame(close=True))
        self.frames.put(None)
        for _ in self.call:
            pass


with grpc.insecure_channel(target) as channel:
    client_id = os.urandom(16)
    handle = Handle(channel, "to-node", client_id)
    handle.put([{"from": "python", "number": i} for i in range(100)])
    again = Handle(channel, "to-node", client_id)
    assert again.opened.remembered and again.opened.applied_through == 100, again.opened
    # The same numbers once more: answered as applied, and not applied again.
    again.put([{"from": "python", "number": i} for i in range(100)])
    again.close()

    reader = Handle(channel, "to-python", b"")
    received = []
    while len(received) < 50:
        received += reader.get(20)
    print(json.dumps(received))
    print(reader.get(1, wait_ms=0))
    print(reader.get(1, wait_ms=20))
    reader.close()

    try:
        Handle(channel, "nobody", b"")
    except grpc.RpcError as error:
        print(error.code().name, dict(error.trailing_metadata())["sage-queue-code"])
