"""Clients that other people made, against `glore serve` over a simulated engine.

Their packages are installed once, as pinned, into a cache folder of the user (platformdirs), not
into the project's environment. The programs in `third_party/` use each client as its documentation
shows and write down what they saw; here it is compared with what is right.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
import pytest_asyncio
from platformdirs import user_cache_path

from glore.api.openai.catalog import STRATEGIES
from glore.keys import new_key
from loadtest.simulation.server import running
from loadtest.simulation.settings import Simulated
from tests.service.processes import free_port, served

pytestmark = [
    pytest.mark.third_party,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="module"),
]

HERE: Final = Path(__file__).parent / "third_party"
PINS: Final = HERE / "requirements.txt"
NODE_CLIENT: Final = "openai@7.59.0"
KEY: Final = new_key()
CLIENTS: Final = ("openai", "node", "langchain", "litellm", "autogen", "lm_eval")
OWN_MODELS: Final = dict(zip(CLIENTS, STRATEGIES, strict=False))  # see programs.py
AT_ONCE: Final = 2  # programs
# The class of the exception, and a part of its text.
NO_MODEL: Final = "There is no such model; the models are glore, glore-gated, "
TOO_LONG: Final = "This model's maximum context length is 4000 characters. The prompt is too long"
ONLY_ONE: Final = "n: Only 1 is supported"
NO_PENALTY: Final = "presence_penalty: It is not supported here"
WRONG_KEY: Final = "Send a key that this gateway knows"
NO_DRAFT: Final = "The student gave no draft"
BASE_URL: Final = "as http://HOST:PORT/v1"
ERRORS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "openai": {
        "wrong model": ("NotFoundError", NO_MODEL),
        "too long": ("BadRequestError", TOO_LONG),
        "invalid": ("BadRequestError", ONLY_ONE),
        "wrong key": ("AuthenticationError", WRONG_KEY),
        "no engine": ("InternalServerError", NO_DRAFT),
        "without /v1": ("NotFoundError", BASE_URL),
        "/v1 twice": ("NotFoundError", BASE_URL),
        "responses": ("NotFoundError", BASE_URL),
    },
    "node": {
        "wrong model": ("NotFoundError", NO_MODEL),
        "too long": ("BadRequestError", TOO_LONG),
        "invalid": ("BadRequestError", ONLY_ONE),
        "half a character": ("BadRequestError", "messages.0.content: "),
        "wrong key": ("AuthenticationError", WRONG_KEY),
        "no engine": ("InternalServerError", NO_DRAFT),
        "without /v1": ("NotFoundError", BASE_URL),
        "/v1 twice": ("NotFoundError", BASE_URL),
    },
    "langchain": {
        "wrong model": ("OpenAIModelNotFoundError", NO_MODEL),
        "too long": ("OpenAIContextOverflowError", TOO_LONG),
        "too large": ("OpenAIAPIContextOverflowError", "may have 65536 bytes at most"),
        "invalid": ("OpenAIInvalidRequestError", NO_PENALTY),
        "tools": ("OpenAIInvalidRequestError", "tools: It is not supported here"),
        "wrong key": ("OpenAIAuthenticationError", WRONG_KEY),
        "no engine": ("OpenAIAPIError", NO_DRAFT),
        "without /v1": ("OpenAIModelNotFoundError", BASE_URL),
    },
    "litellm": {
        "wrong model": ("NotFoundError", NO_MODEL),
        "too long": ("ContextWindowExceededError", TOO_LONG),
        "too large": ("ContextWindowExceededError", "may have 65536 bytes at most"),
        "invalid": ("BadRequestError", ONLY_ONE),
        "wrong key": ("AuthenticationError", WRONG_KEY),
        "no engine": ("ServiceUnavailableError", NO_DRAFT),
        "without /v1": ("NotFoundError", BASE_URL),
    },
    "autogen": {
        "wrong model": ("NotFoundError", NO_MODEL),
        "too long": ("BadRequestError", TOO_LONG),
        "invalid": ("BadRequestError", NO_PENALTY),
        "wrong key": ("AuthenticationError", WRONG_KEY),
        "no engine": ("InternalServerError", NO_DRAFT),
        "without /v1": ("NotFoundError", BASE_URL),
    },
    "lm_eval": {  # its exception has the status, its log the message
        "wrong model": ("HTTPError", "404"),
        "wrong key": ("HTTPError", "401"),
        "no engine": ("HTTPError", "503"),
        "without /v1": ("HTTPError", "404"),
    },
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a program saw, and what it printed."""

    cases: Mapping[str, Any]
    output: str


def installed(name: str, pins: str, install: Callable[[Path], None]) -> Path:
    """The folder with what these pins stand for; made by `install` where there is none yet."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {pins}".encode()).hexdigest()[:16]
    folder = user_cache_path("glore-tests") / f"{name}-{digest}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    complete = folder / "complete"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            install(folder)
            complete.touch()
    return folder


def run(*command: str | Path) -> None:
    """Fails the test when the command does, with what has to be installed."""
    what = " ".join(map(str, command))
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    except FileNotFoundError as error:
        pytest.fail(f"{error.filename} is not installed, and {what} needs it", pytrace=False)
    except subprocess.TimeoutExpired:
        pytest.fail(f"did not end in 500 s: {what}", pytrace=False)
    if done.returncode != 0:
        pytest.fail(
            f"the third-party clients could not be installed; PyPI and npm have to be reachable "
            f"once, or leave these tests out (-m 'not third_party'): {what}\n{done.stderr[-800:]}",
            pytrace=False,
        )


def install_python(folder: Path) -> None:
    uv = (sys.executable, "-m", "uv")
    run(*uv, "venv", "--quiet", "--python", sys.executable, folder)
    pip = (*uv, "pip", "install", "--quiet", "--link-mode", "hardlink", "--no-deps")
    run(*pip, "--python", folder / "bin" / "python", "--requirements", PINS)


def install_node(folder: Path) -> None:
    folder.mkdir()
    quiet = ("--loglevel=error", "--no-audit", "--no-fund", "--ignore-scripts")
    run("npm", "install", *quiet, "--prefix", folder, NODE_CLIENT)


@dataclass(frozen=True, slots=True)
class Gateways:
    """Two that need a key; nobody listens where the second one looks for its engines."""

    url: str
    without_engine: str

    async def tries(self, model: str) -> int:
        """How often the gateway without engines was asked for a model."""
        key = {"Authorization": f"Bearer {KEY}"}
        async with httpx2.AsyncClient(headers=key, trust_env=False) as client:
            text = (await client.get(f"{self.without_engine}/metrics")).text
        strategy = STRATEGIES[model].value
        counts = re.findall(rf'glore_requests_total{{.*"503",strategy="{strategy}"}} (\d+)', text)
        return sum(map(int, counts))

    async def seen_by(self, *command: str | Path, folder: Path, **environment: str) -> str:
        """What a program printed that ran in this folder, without the settings of this shell."""
        known = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GATEWAY": self.url,
            "GATEWAY_WITHOUT_ENGINE": self.without_engine,
            "GATEWAY_KEY": KEY,
        }
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            cwd=folder,
            env=known | environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output = (await process.communicate())[0].decode()
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, output
        return output


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateways() -> AsyncIterator[Gateways]:
    nobody = f"http://127.0.0.1:{free_port()}"
    async with (
        running(Simulated(right=1.0)) as (_, engine),
        served(engine, api_keys=KEY) as gateway,
        served(nobody, api_keys=KEY) as without_engine,
    ):
        yield Gateways(gateway.url, without_engine.url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def programs(
    gateways: Gateways, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mapping[str, asyncio.Task[Seen]]]:
    """The programs of the clients whose tests are to run, a few at a time."""
    here = [item.name for item in request.session.items if item.path == Path(__file__)]
    chosen = [client for client in CLIENTS if any(f"[{client}]" in name for name in here)]
    commands: dict[str, tuple[str | Path, ...]] = {}
    modules = ""
    for client in chosen:
        if client == "node":
            modules = str(installed("node", NODE_CLIENT, install_node) / "node_modules")
            commands[client] = ("node", HERE / "client.cjs")
        else:
            folder = installed("python", PINS.read_text(), install_python)
            commands[client] = (folder / "bin" / "python", "-P", HERE / "programs.py", client)
    places = asyncio.Semaphore(AT_ONCE)

    async def see(client: str) -> Seen:
        folder = tmp_path_factory.mktemp(client)
        seen = folder / "seen.json"
        async with places:
            output = await gateways.seen_by(
                *commands[client],
                seen,
                folder=folder,
                OWN_MODEL=OWN_MODELS[client],
                NODE_PATH=modules,
                LITELLM_LOCAL_MODEL_COST_MAP="True",
                HF_HUB_OFFLINE="1",
            )
        return Seen(json.loads(seen.read_text()), output)

    tasks = {client: asyncio.create_task(see(client)) for client in chosen}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize("client", CLIENTS)
async def test_it_asks_reads_and_is_refused_as_its_documentation_says(
    gateways: Gateways, programs: Mapping[str, asyncio.Task[Seen]], client: str
) -> None:
    seen = await programs[client]
    cases = dict(seen.cases)
    for case, (name, part) in ERRORS[client].items():
        raised, text = cases.pop(case)
        assert (raised, part in text) == (name, True), f"{case}: {text}"
    assert await gateways.tries(OWN_MODELS[client]) == 2
    if client == "lm_eval":
        assert cases == {"one at a time": 0.5, "two at a time": 0.5}
        for part in (NO_MODEL, WRONG_KEY, NO_DRAFT, BASE_URL):
            assert part in seen.output
        return
    answer = cases.pop("answer")
    assert cases.pop("stream") == answer
    assert re.search(r"^#### \d+$", answer, re.MULTILINE)
    assert all(tokens > 0 for tokens in cases.pop("usage"))
    if client in {"langchain", "autogen"}:
        assert re.search(r"^#### \d+$", cases.pop("goes on"), re.MULTILINE)
    openai = {"helper": answer, "ignored": ["user", "seed"], "models": list(STRATEGIES)}
    rest = {
        "openai": openai,
        "node": openai,
        "langchain": {"batch": [answer, answer]},
        "litellm": {"fallbacks": ["fell back", "fell back"]},
        "autogen": {},
    }
    assert cases == rest[client]


# --- HTTP clients that offer HTTP/2 ----------------------------------------------------------


async def test_javas_own_client_is_answered_over_http_1(gateways: Gateways, tmp_path: Path) -> None:
    if shutil.which("java") is None:
        pytest.skip("there is no JDK; the next test sends the bytes that its client sends")
    output = await gateways.seen_by("java", HERE / "Client.java", folder=tmp_path)
    lines = [json.loads(line) for line in output.splitlines()]
    bodies = {name: body for name, _, _, body in lines}
    assert {name: status for name, status, _, _ in lines} == {
        "solve": 200,
        "chat": 200,
        "chunked": 200,
        "stream": 200,
        "invalid": 400,
        "expecting": 200,
        "again": 200,
        "ready": 200,
    }
    assert {version for _, _, version, _ in lines} == {"HTTP_1_1"}
    solution = json.loads(bodies["solve"])["solution"]
    for name in ("expecting", "again"):
        assert json.loads(bodies[name])["solution"] == solution
    for name in ("chat", "chunked"):
        assert json.loads(bodies[name])["choices"][0]["message"]["content"] == solution
    assert bodies["stream"].rstrip().endswith("data: [DONE]")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", ["/solve", "/v1/chat/completions"])
async def test_an_offer_of_http_2_is_ignored(
    gateways: Gateways, path: str, *, chunked: bool
) -> None:
    body = json.dumps(
        {"question": "What is 3 times 4?"}
        if path == "/solve"
        else {"model": "glore", "messages": [{"role": "user", "content": "What is 3 times 4?"}]}
    ).encode()
    host = gateways.url.removeprefix("http://")
    length = "Transfer-encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    head = (  # as Java's client sends it
        f"POST {path} HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\n{length}\r\n"
        f"Host: {host}\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
        f"Upgrade: h2c\r\nUser-Agent: Java-http-client/17.0.15\r\n"
        f"Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(*host.split(":"))
    try:
        for _ in range(2):  # the connection is kept
            writer.write(head.encode())
            writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body)
            async with asyncio.timeout(60):
                answered = (await reader.readuntil(b"\r\n\r\n")).decode()
                assert answered.startswith("HTTP/1.1 200 ")
                count = re.search(r"content-length: (\d+)", answered, re.IGNORECASE)
                assert count is not None
                assert b"####" in await reader.readexactly(int(count[1]))
    finally:
        writer.close()
