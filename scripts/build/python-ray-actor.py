"""Writes python/src/sage_queue/ray/actor_source.py from lib/transports/ray/actor/queue-actor-source.ts, which Node sends to the cluster:
python-ray-actor.py [--print]. So a queue is the same actor, whichever language makes it."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "lib/transports/ray/actor/queue-actor-source.ts"
TARGET = ROOT / "python/src/sage_queue/ray/actor_source.py"


def module() -> str:
    source = re.search(r"QUEUE_ACTOR_SOURCE = String\.raw`\n(.*)`;", SOURCE.read_text(), re.S)[1]
    assert "'''" not in source
    return (
        '"""The class of the actor behind a queue: that of lib/transports/ray/actor/queue-actor-source.ts. '
        'Written by scripts/build/python-ray-actor.py."""\n\n'
        'NAME = "SageQueueActor"\n\n'
        f"SOURCE = r'''\n{source}'''\n"
    )


if __name__ == "__main__":
    if "--print" in sys.argv:
        print(module(), end="")
    else:
        TARGET.write_text(module())
