"""Every name of surface.pyi is there, with that signature. What the package has beyond it, nobody is obliged to give."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import sage_queue

SURFACE = ast.parse((Path(__file__).parent / "surface.pyi").read_text())
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def declared():
    """Each function and method: where it is to be found, and how it is declared."""
    for node in SURFACE.body:
        if isinstance(node, FUNCTIONS):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield node.name, node
            for part in node.body:
                if isinstance(part, FUNCTIONS):
                    yield f"{node.name}.{part.name}", part


def parameters(node):
    """(name, kind, default) in the words of inspect, without self and cls."""
    given = node.args
    names = [*given.posonlyargs, *given.args]
    defaults = [inspect.Parameter.empty] * (len(names) - len(given.defaults))
    defaults += [ast.literal_eval(one) for one in given.defaults]
    found = [(one.arg, "positional or keyword", default) for one, default in zip(names, defaults)]
    for one, default in zip(given.kwonlyargs, given.kw_defaults):
        found.append((one.arg, "keyword-only", inspect.Parameter.empty if default is None else ast.literal_eval(default)))
    if given.vararg:
        found.append((given.vararg.arg, "variadic positional", inspect.Parameter.empty))
    if given.kwarg:
        found.append((given.kwarg.arg, "variadic keyword", inspect.Parameter.empty))
    return [one for one in found if one[0] not in ("self", "cls")]


def find(path):
    found = sage_queue
    for name in path.split("."):
        found = inspect.getattr_static(found, name) if isinstance(found, type) and name.startswith("__") else getattr(found, name)
    return found


DECLARED = dict(declared())


@pytest.mark.parametrize("path", [path for path, node in DECLARED.items() if isinstance(node, FUNCTIONS)])
def test_signature(path):
    found, node = find(path), DECLARED[path]
    assert callable(found)
    signature = [
        (one.name, one.kind.description, one.default)
        for one in inspect.signature(found).parameters.values()
        if one.name not in ("self", "cls")
    ]
    expected = parameters(node)
    assert [one for one in signature if one in expected] == expected
    for one in signature:  # what is more than that may be left out
        optional = one[1] == "keyword-only" and one[2] is not inspect.Parameter.empty
        assert one in expected or optional or one[1] == "variadic keyword", one
    assert inspect.iscoroutinefunction(found) == isinstance(node, ast.AsyncFunctionDef)


@pytest.mark.parametrize("path", [path for path, node in DECLARED.items() if isinstance(node, ast.ClassDef)])
def test_bases(path):
    found = find(path)
    assert isinstance(found, type)
    names = {one.__name__ for one in found.__mro__}
    for base in DECLARED[path].bases:
        wanted = base.value if isinstance(base, ast.Subscript) else base
        assert (wanted.attr if isinstance(wanted, ast.Attribute) else wanted.id) in names


def test_attributes(name):
    with sage_queue.get_sage_queue(name) as queue:
        assert isinstance(queue, sage_queue.SharedQueue)
        for attribute in ("queue_id", "queue_type", "metadata", "created_timestamp"):
            assert hasattr(queue.descriptor, attribute)
        queue.put_many([1, 2])
        with queue.lease() as lease, queue.lease_many(1) as batch:
            assert (lease.item, lease.deliveries, lease.crashes, batch.items) == (1, 1, 0, [2])
            lease.ack()
            batch.ack()
    assert sage_queue.QueueError("…").code.startswith("ERR_")


#: Of the Node package; ERR_OPTION_UNKNOWN and the like are Python's own TypeError and ValueError.
NAMES = """QueueEmptyError QueueFullError QueueShutDownError QueueClosedError QueueNotFoundError QueueExistsError QueueTimeoutError
QueueProducerLostError UnknownQueueTypeError InvalidDescriptorError SerializationError ItemTooLargeError ConfigMismatchError SegmentError
QueueConnectionError""".split()


@pytest.mark.parametrize("name_", NAMES)
def test_errors(name_):
    kind = getattr(sage_queue, name_)
    assert issubclass(kind, sage_queue.QueueError) and kind.code.startswith("ERR_")


@pytest.mark.parametrize("kind", ["local.LocalQueue", "shared.SharedQueue", "adapter.AdaptedQueue", "rpc.queue.RpcQueue"])
def test_every_type_has_the_whole_of_queue(kind):
    """With the parameters of Queue, so that none of them is another to its caller."""
    module, _, class_ = kind.rpartition(".")
    if module.startswith("rpc"):
        pytest.importorskip("grpc")
    implementation = getattr(importlib.import_module(f"sage_queue.{module}"), class_)
    for path in DECLARED:
        owner, _, method = path.partition(".")
        if owner == "Queue" and method and not method.startswith("__"):
            found, declared_ = getattr(implementation, method), getattr(sage_queue.Queue, method)
            assert list(inspect.signature(found).parameters) == list(inspect.signature(declared_).parameters), method
