"""What every fault of every engine costs under every strategy, written down.

A fault is known to the client by its reason in `degraded`; which engine had it, and what the
strategy asks of that engine, decides the rest. An engine that a strategy does not ask costs it
nothing, whatever the fault.
"""

from typing import Final

from glore.engines.ports import Role
from glore.refinement.types import Strategy

WRITERS: Final = frozenset({"student", "global_refiner", "local_refiner"})
SCORERS: Final = frozenset({"sorm", "orm"})

# What befalls an engine, and the reason that `degraded` gives. `-`: nothing is missing.
REASONS: Final = {
    "refused": "unreachable",  # nobody listens at its address
    "reset": "failed",  # it closes the connection without an answer, each time it is asked
    "hang": "timeout",
    "stall": "timeout",  # it says half of its answer, and then nothing more
    "trickle": "timeout",  # it answers byte by byte, slower than anybody waits for
    "slow": "-",  # ten times as slow as it was, and within the deadline
    "400": "rejected",
    "429": "overloaded",
    "500": "failed",
    "cut": "bad_response",  # it closes the connection in the middle of the body
    "garbage": "bad_response",  # status 200, no JSON
    "noise": "bad_response",  # something else than JSON in the middle of the answer
    "broken": "failed",  # a stream has an error in its middle; anything else is a 500
    "nan": "bad_response",  # scores that are no numbers
    "count": "wrong_scores",  # one score too few
    "empty": "bad_response",  # a text without a character
    "endless": "-",  # a text up to the token limit: it is kept, with finish_reason `length`
    "overlong": "bad_response",  # a text that ends ten tokens past the limit
    "unbounded": "bad_response",  # a text that never ends
}

LATE: Final = frozenset(fault for fault, reason in REASONS.items() if reason == "timeout")

# What cannot be: a text has no scores, scores have no text and come in no stream.
TEXTUAL: Final = ("broken", "empty", "endless", "overlong", "unbounded")
IMPOSSIBLE: Final = frozenset(
    {(writer, fault) for writer in WRITERS for fault in ("nan", "count")}
    | {(scorer, fault) for scorer in SCORERS for fault in TEXTUAL}
)

# The response, by what is lost. `late` is every fault whose reason is `timeout`, `lost` every
# fault with a reason that has no line of its own; REASON stands for that reason. Where a fault has
# no line it costs nothing: see `nothing`. All roles but the student have a part of the deadline
# (docs/design.md), so one that hangs leaves time for what comes after it.
TABLE: Final = """
engine          fault    strategy   status  candidates                selected by     degraded

nothing         -        draft      200     draft                     strategy        -
nothing         -        global     200     draft,global              strategy        -
nothing         -        local      200     draft,local               strategy        -
nothing         -        glore      200     draft,global,local        outcome_score   -
nothing         -        gated      200     draft,global,local        outcome_score   -
nothing         -        best_of_n  200     draft,sample,sample       outcome_score   -
nothing         -        adaptive   200     draft,global,local,sample outcome_score -

student         lost     *          503     -                         -               -
student         late     *          504     -                         -               -
student         400      *          502     -                         -               -
student         endless  local      200     draft                     strategy        -
student         endless  glore      200     draft,global              outcome_score   -
student         endless  gated      200     draft,global              outcome_score   -
student         endless  adaptive   200     draft,global,sample       outcome_score   -

global_refiner  lost     global     200     draft                     only_candidate  refine_globally:REASON
global_refiner  lost     glore      200     draft,local               outcome_score   refine_globally:REASON
global_refiner  lost     gated      200     draft,local               outcome_score   refine_globally:REASON
global_refiner  lost     adaptive   200     draft,local,sample        outcome_score   refine_globally:REASON

local_refiner   lost     local      200     draft                     only_candidate  refine_locally:REASON
local_refiner   lost     glore      200     draft,global              outcome_score   refine_locally:REASON
local_refiner   lost     gated      200     draft,global              outcome_score   refine_locally:REASON
local_refiner   lost     adaptive   200     draft,global,sample       outcome_score   refine_locally:REASON

sorm            lost     local      200     draft                     only_candidate  score:REASON
sorm            lost     glore      200     draft,global              outcome_score   score:REASON
sorm            lost     gated      200     draft,global              outcome_score   score:REASON
sorm            lost     adaptive   200     draft,global,sample       outcome_score   score:REASON

orm             lost     glore      200     draft,global,local        step_score      rerank:REASON
orm             lost     gated      200     draft,global,local        step_score      rerank:REASON
orm             lost     adaptive   200     draft,global,local,sample step_score      rerank:REASON
orm             lost     best_of_n  200     draft,sample,sample       step_score      rerank:REASON
"""  # noqa: E501 - a table has the width that it has


def expected(engine: Role, fault: str, strategy: Strategy) -> str:
    """The line of the table that holds: status, candidates, selected by, degraded."""
    rows = [line.split() for line in TABLE.strip().splitlines()[1:] if line]
    found = {(row[0], row[1], row[2]): row[3:] for row in rows}
    reason = REASONS[fault]
    names = [fault]
    if fault in LATE:
        names.append("late")
    if reason != "-":
        names.append("lost")
    keys = [(engine, name, requested) for name in names for requested in (strategy, "*")]
    for key in (*keys, ("nothing", "-", strategy)):
        if key in found:
            return " ".join(found[key]).replace("REASON", reason)
    raise KeyError(engine, fault, strategy)
