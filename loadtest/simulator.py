"""`python -m loadtest.simulator`: an engine without a model, for load tests and faults.

Speaks what the gateway asks of vLLM, its health and its metrics; see `--help` for its timing and
faults, all seeded. One simulator can stand for both engines:
`GLORE_GENERATION__URL` and `GLORE_SCORING__URL` may name the same.
"""

import argparse
import asyncio
import signal
import sys

from loadtest.simulation.server import running
from loadtest.simulation.settings import FAULTS, Simulated, Timing, parse_fault


def parsed(arguments: list[str] | None = None) -> tuple[Simulated, str, int]:
    """Settings, host and port from the command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8101)
    parser.add_argument("--first-token", type=float, default=0.05, metavar="S")
    parser.add_argument("--per-prompt-token", type=float, default=0.0, metavar="S")
    parser.add_argument("--between-tokens", type=float, default=0.01, metavar="S")
    parser.add_argument("--per-request", type=float, default=0.02, metavar="SHARE")
    parser.add_argument("--spread", type=float, default=0.1, metavar="SIGMA")
    parser.add_argument("--slots", type=int, default=256)
    parser.add_argument("--refusal", type=float, default=0.0, metavar="S")
    parser.add_argument("--outage", type=float, default=1.0, metavar="S")
    parser.add_argument("--right", type=float, default=0.6, metavar="SHARE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--api-key")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="[MODEL:]KIND[=SHARE]",
        help=f"may be given again; kinds: {', '.join(FAULTS)}",
    )
    given = parser.parse_args(arguments)
    try:
        faults = tuple(parse_fault(text) for text in given.fault)
    except ValueError as error:
        parser.error(str(error))
    timing = Timing(
        first_token=given.first_token,
        per_prompt_token=given.per_prompt_token,
        between_tokens=given.between_tokens,
        per_request=given.per_request,
        spread=given.spread,
        slots=given.slots,
        refusal=given.refusal,
    )
    settings = Simulated(
        timing=timing,
        faults=faults,
        seed=given.seed,
        right=given.right,
        api_key=given.api_key,
        outage=given.outage,
    )
    return settings, given.host, given.port


async def serve(settings: Simulated, host: str, port: int) -> None:
    """Until SIGTERM or Ctrl-C."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, over.set)
    async with running(settings, host, port) as (_, url):
        sys.stdout.write(f"simulated engine on {url}\n")
        sys.stdout.flush()
        await over.wait()


if __name__ == "__main__":
    asyncio.run(serve(*parsed()))
