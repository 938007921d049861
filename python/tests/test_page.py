"""The programs of docs/python.md and of the package's own page, as they stand there, each in a process and a directory of segments of its own."""

import os
import re
import subprocess
import sys
import textwrap

import pytest
from conftest import CLI, ROOT

TEXT = "".join((ROOT / page).read_text() for page in ("python/README.md", "docs/python.md"))


def blocks_run_by(path):
    """The blocks of the pages that name this file as what runs them."""
    return re.findall(rf"^```python elsewhere={re.escape(path)}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


QUEUE = """
from sage_queue import get_sage_queue, register_queue_implementation, resolve_descriptor, QueueDescriptor
"""

# What each block takes for given, in the order of the pages; where it is to stand inside a function, {block}.
AROUND = {
    'get_sage_queue("jobs")': "{block}",
    'get_sage_queue("jobs", maxsize=1000)': "{block}",
    "async for job in jobs": QUEUE
    + """
import asyncio
jobs = get_sage_queue("jobs")
jobs.put_many([1, 2])
jobs.shutdown()
async def handle(job):
    print(job)
async def main():
{indented}
asyncio.run(main())
""",
    "create_rpc_queue": QUEUE
    + f"""
import subprocess
server = subprocess.Popen(["node", {str(CLI)!r}, "serve", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
port = int(server.stdout.readline().strip().rstrip("/").rpartition(":")[2])
real = QueueDescriptor.create_rpc_queue
QueueDescriptor.create_rpc_queue = lambda host, _, name: real("127.0.0.1", port, name)
open_real = resolve_descriptor
resolve_descriptor = lambda where, credentials: open_real(where, credentials={{{{"token": credentials["token"]}}}})
token = "nobody asks for it"
{{block}}
server.terminate()
assert server.communicate()[1] == "sage-queue: interrupted.\\n"
""",
    "frames.claim": QUEUE
    + """
import numpy
frames = get_sage_queue("frames", capacity_bytes=1 << 20)
class camera:
    def read_into(array):
        array[:] = 7
{block}
""",
    "multiprocessing.Queue": QUEUE + "\nimport multiprocessing\njob = {{'n': 1}}\n{block}\nprint(job)\n",
    "faster_fifo.Queue": QUEUE
    + """
class faster_fifo:
    Queue = str
items = list(range(100))
{block}
""",
    "MyQueue": QUEUE
    + """
class MyQueue(list):
    def __init__(self, descriptor):
        pass
    put = list.append
    def get(self):
        return self.pop(0)
    def empty(self):
        return not self
    qsize = list.__len__
{block}
""",
}
JOB = "{'image': 'a.png', 'width': 320}\n"
PRINTED = [JOB, JOB, "1\n2\n", "{'image': 'a.png'}\n", "7.0\n", "{'n': 1}\n", "", ""]
BLOCKS = blocks_run_by('python/tests/test_page.py')  # a literal: the documents' tests look for it


def test_every_block_of_the_pages_is_run():
    of_ray = TEXT.count("```python elsewhere=python/tests/test_ray.py")
    assert len(BLOCKS) == TEXT.count("```python") - of_ray == len(AROUND)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_block(number, tmp_path):
    block = BLOCKS[number]
    beginning, around = list(AROUND.items())[number]
    assert beginning in block
    if "numpy" in around:
        pytest.importorskip("numpy")
    program = around.format(block=block, indented=textwrap.indent(block, "    "))
    env = {**os.environ, "SAGE_QUEUE_DIR": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, timeout=60)
    assert (run.returncode, run.stderr, run.stdout) == (0, "", PRINTED[number])
