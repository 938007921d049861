"""iceoryx2 as a queue: publish-subscribe without overflow, so that a full subscriber makes the publisher wait instead of losing samples."""

import ctypes
import time

import iceoryx2 as iox2

Bytes = iox2.Slice[ctypes.c_uint8]


class Service:
    """Made before the processes are; each opens its own node, publisher or subscriber at its first call, as iceoryx2 asks."""

    def __init__(self, run):
        self.name = f"sage-bench/{run['id']}"
        self.consumers = run["consumers"]
        self.size = run["work"]["bytes"]
        # As many bytes on the way as the other contenders may hold.
        self.depth = max(16, min(4096, (1 << 22) // max(1, self.size)))
        self.node = self.publisher = self.subscriber = self.end = None

    def open(self):
        iox2.set_log_level(iox2.LogLevel.Error)
        self.node = iox2.NodeBuilder.new().create(iox2.ServiceType.Ipc)
        return (
            self.node.service_builder(iox2.ServiceName.new(self.name))
            .publish_subscribe(Bytes)
            .enable_safe_overflow(False)
            .subscriber_max_buffer_size(self.depth)
            .max_publishers(8)
            .open_or_create()
        )

    def put(self, item, *_):
        if self.publisher is None:
            self.service = self.open()
            self.publisher = (
                self.service.publisher_builder()
                .initial_max_slice_len(max(8, self.size))
                .backpressure_strategy(iox2.BackpressureStrategy.RetryUntilDelivered)
                .create()
            )
            # A sample reaches those who subscribed before it.
            while self.service.dynamic_config.number_of_subscribers < self.consumers:
                time.sleep(0.001)
        sample = self.publisher.loan_slice_uninit(len(item))
        ctypes.memmove(sample.payload_ptr, item, len(item))
        sample.assume_init().send()

    def get(self, *_):
        if self.subscriber is None:
            self.service = self.open()
            self.subscriber = self.service.subscriber_builder().create()
        while True:
            sample = self.subscriber.receive()
            if sample is None:
                # Publishers have no common order: the end counts when nothing is left before it.
                if self.end is not None:
                    return self.end
                time.sleep(0.00005)
                continue
            payload = sample.payload()
            item = ctypes.string_at(payload.as_ptr(), payload.len())
            sample.delete()
            if len(item) > 1:
                return item
            self.end = item
