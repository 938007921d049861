"""Metadata that Node would refuse is refused here, where it is given."""

import pytest

from sage_queue import InvalidDescriptorError, QueueDescriptor


@pytest.mark.parametrize("ca", [5, "", None, ["x"], {"x": 1}])
def test_an_authority_is_a_text(ca):
    with pytest.raises(InvalidDescriptorError):
        QueueDescriptor.create_rpc_queue("host", 1, "q", tls={"ca": ca})


@pytest.mark.parametrize("number", [2**53, -(2**53), 2**70])
@pytest.mark.parametrize("queue_type", ["local", "sage_queue", "mine"])
def test_integers_are_those_that_every_language_holds(queue_type, number):
    assert QueueDescriptor("q", queue_type, {"mine": [2**53 - 1, -(2**53 - 1)]}).to_json()
    with pytest.raises(InvalidDescriptorError, match="mine"):
        QueueDescriptor("q", queue_type, {"mine": [number]})
