"""Queues that live in an actor of a Ray cluster, through Ray's own API; on the actors that Node makes."""
