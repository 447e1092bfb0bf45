"""How fast the generation engine writes with n-gram speculation and without, and whether alike.

`python -m loadtest.speculation` starts the engine twice, as `glore up` starts it and without
speculation, on the models of the cache (GLORE_CACHE; one start of `glore up` makes it), and sends
both the same prompts, one at a time by turns: drafts, global and local refinements of questions
that the kept run drafted for validation. It prints Markdown: tokens per second alone, and how many
texts are the same. Two engines need 8 GB of memory.

`python -m loadtest.speculation --precision` starts one engine, as `glore up` does, drafts the same
questions, eight at a time, and compares with the kept drafts, which were written in bfloat16.
"""

import argparse
import asyncio
import gzip
import itertools
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import aiohttp

from glore.formats.prompts import global_refiner_prompt, local_refiner_prompt, student_prompt
from glore.formats.steps import split_steps
from glore_models.data.rollouts import StudentSample, is_right
from glore_models.sampling.server import free_port
from glore_models.serving.bundle import chosen_bundle
from glore_models.serving.cache import Cache, default_cache
from glore_models.serving.engines import generation_dtype, generation_engine
from glore_models.serving.processes import Launch
from glore_models.serving.stack import Stack

_DRAFTS: Final = Path(__file__).parent.parent / "models/kept/paper_gpu/validation_samples.jsonl.gz"
_MAX_TOKENS: Final = 320  # the default of POST /solve


@dataclass(frozen=True, slots=True)
class Asked:
    """A model's name on the server and what it is to continue."""

    role: str
    prompt: str


@dataclass(slots=True)
class Written:
    """What one engine wrote for one role."""

    tokens: int = 0
    seconds: float = 0.0
    texts: list[str] = field(default_factory=list)

    @property
    def speed(self) -> float:
        """Tokens per second."""
        return self.tokens / self.seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.speculation", description=__doc__)
    parser.add_argument("--questions", type=int, default=50)
    parser.add_argument("--precision", action="store_true")
    parser.add_argument("--logs", type=Path, default=Path("runs/speculation"))
    given = parser.parse_args(arguments)
    cache = Cache(default_cache(), chosen_bundle())
    fast = generation_engine(cache, free_port())
    if given.precision:
        with Stack(given.logs) as stack:
            url = _ready(stack, fast)
            sys.stdout.write(asyncio.run(precision(url, given.questions)) + "\n")
        return 0
    plain = without_speculation(generation_engine(cache, free_port()))
    with Stack(given.logs) as stack:
        urls = [_ready(stack, launch) for launch in (fast, plain)]
        found = asyncio.run(compare(urls, prompts(given.questions)))
    sys.stdout.write(table(*found) + "\n")
    return 0


def _ready(stack: Stack, launch: Launch) -> str:
    """The URL of the engine, once it answers."""
    stack.start(launch)
    stack.wait_ready([launch.name], lambda _name, _line: None)
    return f"http://127.0.0.1:{launch.port}"


def without_speculation(launch: Launch) -> Launch:
    """The same engine, one token at a time."""
    at = launch.command.index("--speculative-config")
    return replace(launch, name="plain", command=launch.command[:at] + launch.command[at + 2 :])


def prompts(questions: int) -> Iterator[Asked]:
    """Three prompts for each question; the local refiner goes on from the middle of the draft."""
    for row in kept_drafts(questions):
        question, draft = row.question, row.solution
        middle = len(split_steps(draft)) // 2
        yield Asked("student", student_prompt(question))
        yield Asked("global_refiner", global_refiner_prompt(question, draft))
        yield Asked("local_refiner", local_refiner_prompt(question, draft, middle))


def kept_drafts(questions: int) -> Iterator[StudentSample]:
    """The first drafts that the kept run wrote for validation, greedily and in bfloat16."""
    with gzip.open(_DRAFTS, "rt", encoding="utf-8") as lines:
        for line in itertools.islice(lines, questions):
            yield StudentSample(**json.loads(line))


async def precision(url: str, questions: int) -> str:
    """Markdown: the kept drafts against those that this machine's engine writes."""
    rows, slots = list(kept_drafts(questions)), asyncio.Semaphore(8)
    async with aiohttp.ClientSession() as session:

        async def draft(row: StudentSample) -> str:
            written = Written()
            async with slots:
                await _write(session, url, Asked("student", student_prompt(row.question)), written)
            return written.texts[0].strip()

        drafts = await asyncio.gather(*map(draft, rows))
    pairs = list(zip(rows, drafts, strict=True))
    same = sum(row.solution.strip() == text for row, text in pairs)
    kept = [row.right for row in rows]
    here = [is_right(text, row.answer) for row, text in pairs]
    alone = [
        sum(one and not other for one, other in zip(*both, strict=True))
        for both in ((kept, here), (here, kept))
    ]
    return (
        f"| drafts | same text | right: kept, bfloat16 | right: here, {generation_dtype()} "
        f"| right in one alone |\n|---:|---:|---:|---:|---:|\n"
        f"| {len(rows)} | {same} | {sum(kept)} | {sum(here)} | {alone[0]} : {alone[1]} |"
    )


async def compare(urls: Sequence[str], asked: Iterator[Asked]) -> list[dict[str, Written]]:
    """What each engine wrote, by role; they take turns at every prompt."""
    found: list[dict[str, Written]] = [defaultdict(Written) for _ in urls]
    async with aiohttp.ClientSession() as session:
        for number, each in enumerate(asked):
            turns = list(zip(urls, found, strict=True))
            for url, written in turns if number % 2 else reversed(turns):
                await _write(session, url, each, written[each.role])
    return found


async def _write(session: aiohttp.ClientSession, url: str, asked: Asked, written: Written) -> None:
    body = {
        "model": asked.role,
        "prompt": asked.prompt,
        "temperature": 0,
        "max_tokens": _MAX_TOKENS,
    }
    start = time.perf_counter()
    async with session.post(f"{url}/v1/completions", json=body) as answer:
        answer.raise_for_status()
        content = await answer.json()
    written.seconds += time.perf_counter() - start
    written.tokens += content["usage"]["completion_tokens"]
    written.texts.append(content["choices"][0]["text"])


def table(fast: dict[str, Written], plain: dict[str, Written]) -> str:
    """Markdown: a row for each role."""
    lines = [
        "| role | plain, tokens/s | n-gram, tokens/s | ratio | same texts |",
        "|---|---:|---:|---:|---:|",
    ]
    for role, one in plain.items():
        other = fast[role]
        same = sum(a == b for a, b in zip(one.texts, other.texts, strict=True))
        lines.append(
            f"| {role} | {one.speed:.1f} | {other.speed:.1f} | {other.speed / one.speed:.2f} "
            f"| {same}/{len(one.texts)} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
