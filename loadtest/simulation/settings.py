"""What a simulated engine is like. Every draw follows from the seed and the request."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

FaultKind: TypeAlias = Literal[
    "refused",  # nobody listens, for a share of the time: of the whole engine, not of a model
    "reset",  # the connection is closed without an answer
    "hang",  # no answer, ever
    "stall",  # half an answer, then nothing more, ever
    "trickle",  # an answer byte by byte, TRICKLE_S apart
    "slow",  # ten times the time
    "400",
    "429",
    "500",
    "cut",  # closed in the middle of the body
    "garbage",  # status 200, no JSON
    "noise",  # something else than JSON in the middle of the answer
    "broken",  # a failure that is reported: in a stream by an event in its middle, else by a 500
    "nan",  # scores that are not numbers
    "count",  # one score too few
    "empty",  # a completion without text
    "endless",  # text up to the token limit
    "overlong",  # text that ends ten tokens past the token limit
    "unbounded",  # text that never ends, whatever the token limit
]
FAULTS: Final[tuple[FaultKind, ...]] = get_args(FaultKind)
SLOW_FACTOR: Final = 10.0
TRICKLE_S: Final = 0.1
OVERLONG_BY: Final = 10  # tokens


@dataclass(frozen=True, slots=True)
class Fault:
    """A `share` (0..1) of the requests for `model` (all models if None) goes wrong."""

    kind: FaultKind
    share: float = 1.0
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. A busy server is slower: each request beside a request adds `per_request`.

    `spread` is the sigma of the log-normal that every time is drawn from; `slots` requests
    run at once, the others wait. What is refused or reset is so after `refusal`.
    """

    first_token: float = 0.0
    per_prompt_token: float = 0.0
    between_tokens: float = 0.0
    per_request: float = 0.0  # as a share of the time of one alone
    spread: float = 0.0
    slots: int = 256
    refusal: float = 0.0


@dataclass(frozen=True, slots=True)
class Simulated:
    """One engine: the names it serves, how fast it is, what goes wrong.

    `right` is the share of solutions that state the answer which most of them state. With the
    fault `refused` it is drawn every `outage` seconds whether anybody listens.
    """

    models: tuple[str, ...] = ("student", "global_refiner", "local_refiner", "sorm", "orm")
    timing: Timing = Timing()
    faults: tuple[Fault, ...] = ()
    seed: int = 0
    right: float = 0.6
    max_model_len: int = 4096
    api_key: str | None = None
    outage: float = 1.0

    @property
    def refused(self) -> float:
        """The share of the time in which nobody listens."""
        return max((each.share for each in self.faults if each.kind == "refused"), default=0.0)


def parse_fault(text: str) -> Fault:
    """`[MODEL:]KIND[=SHARE]`, as in `sorm:nan=0.1`. Raises ValueError naming what is wrong."""
    named, _, share = text.partition("=")
    model, colon, kind = named.rpartition(":")
    for known in FAULTS:
        if kind == known:
            break
    else:
        message = f"no fault {kind!r}; the faults are {', '.join(FAULTS)}"
        raise ValueError(message)
    if known == "refused" and colon:
        message = "an engine refuses connections for all of its models or for none"
        raise ValueError(message)
    try:
        chance = float(share) if share else 1.0
    except ValueError:
        chance = -1.0
    if not 0 <= chance <= 1:
        message = f"{share!r} is no share between 0 and 1"
        raise ValueError(message)
    return Fault(known, chance, model if colon else None)
