"""Work that is done, and perhaps killed, in a process of its own."""

import os
from collections.abc import Callable


def in_a_child(work: Callable[[], None]) -> int:
    """The wait status of a child that does `work`."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1]
