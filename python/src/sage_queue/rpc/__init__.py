"""Queues of another machine, behind a `QueueServer` or `sage-queue serve`: the protocol of proto/sagequeue/v1/queue.proto over grpcio."""
