"""Is a history of reads and writes of one register linearizable? An independent checker, which knows nothing of promotions.

An operation reads the register and may write it, in one step, at some moment between its invocation and its return. The history is
linearizable when such moments can be chosen for all operations that returned, and for any of those that never did, so that each reads
what was written last (J. M. Wing and C. Gong, Testing and Verifying Concurrent Objects, J. Parallel Distrib. Comput. 17, 1993).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Op:
    """What one client did. `returned` is infinite for one that died: it may have taken effect at any later time, or never.

    `reads` counts only if `has_read`; `writes` counts only if `has_written`.
    """

    who: str
    invoked: float
    returned: float = math.inf
    has_read: bool = False
    reads: Any = None
    has_written: bool = False
    writes: Any = None


def order(history: Sequence[Op], initial: Any) -> list[Op] | None:
    """The operations that took effect, in an order that explains every read; None when there is none.

    Depth first over all orders that respect real time, remembering which sets of operations with which value led nowhere (G. Lowe,
    Testing for linearizability, 2017).
    """
    must = frozenset(index for index, op in enumerate(history) if op.returned < math.inf)
    hopeless: set[tuple[frozenset[int], Any]] = set()
    stack: list[tuple[frozenset[int], Any, tuple[int, ...]]] = [(frozenset(), initial, ())]
    while stack:
        done, value, path = stack.pop()
        if must <= done:
            return [history[index] for index in path]
        if (done, value) in hopeless:
            continue
        hopeless.add((done, value))
        # Nothing may come before an operation that returned before it was invoked.
        earliest = min(history[index].returned for index in must - done)
        for index, op in enumerate(history):
            if index not in done and op.invoked <= earliest and (not op.has_read or op.reads == value):
                stack.append((done | {index}, op.writes if op.has_written else value, (*path, index)))
    return None
