"""The files of the page at `/` over HTTP. What a browser makes of them: tests/browser."""

import re

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from glore.api import page
from glore.app import create_app
from glore.keys import new_key
from glore.settings import Settings
from tests.service.fakes import FakeEngines

NAMES = sorted(page.WEB)
MOST_LINES = 250


async def test_the_page_may_load_from_here_alone_and_holds_no_code_of_its_own(
    client: httpx2.AsyncClient,
) -> None:
    response = await client.get("/")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = response.headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", response.text)
    for link in re.findall(r'(?:src|href)="([^"]+)"', response.text):
        if not link.startswith("#"):
            assert (await client.get(f"/{link}")).status_code == 200
    assert "://" not in response.text


@pytest.mark.parametrize("name", NAMES)
async def test_each_file_is_served_as_what_it_is_and_not_sent_twice(
    client: httpx2.AsyncClient, name: str
) -> None:
    response = await client.get(f"/page/{name}")
    assert response.status_code == 200
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Request-ID"]
    again = await client.get(f"/page/{name}", headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = await client.head(f"/page/{name}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(response.content))


@pytest.mark.parametrize("name", [each for each in NAMES if not each.endswith(".json")])
def test_files_are_small_and_make_no_markup_of_text(name: str) -> None:
    text = page.WEB[name].content.decode()
    assert len(text.splitlines()) <= MOST_LINES
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text)


async def test_what_is_not_there_is_a_problem_and_the_paths_take_get_alone(
    client: httpx2.AsyncClient,
) -> None:
    for path in ("/page/nothing.js", "/page/", "/page/..%2fapp.py", "/page/api/page.py"):
        assert (await client.get(path)).status_code == 404
    for path in ("/", "/page/app.js", "/page/settings.json"):
        response = await client.post(path, json={})
        assert response.status_code == 405
        assert response.json()["type"] == "/problems/method-not-allowed"


async def test_it_is_open_where_the_gateway_asks_for_a_key(
    settings: Settings, engines: FakeEngines
) -> None:
    key = SecretStr(f"alice:{new_key()}")
    app = create_app(
        settings.model_copy(update={"api_keys": key, "rate_per_minute": 1}), connect=engines.connect
    )
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app), base_url="http://gateway"
        ) as client,
    ):
        for path in ("/", "/page/app.js", "/page/style.css", "/page/settings.json"):
            assert (await client.get(path)).status_code == 200
        known = (await client.get("/page/settings.json")).json()
        assert known["asks_for_a_key"] is True
        assert (await client.post("/solve", json={"question": "1 + 1?"})).status_code == 401


async def test_the_page_knows_its_gateways_limits(app: FastAPI, client: httpx2.AsyncClient) -> None:
    known = (await client.get("/page/settings.json")).json()
    limits = app.state.context.limits
    assert known == {
        "version": app.version,
        "strategy": limits.strategy,
        "max_rounds": limits.max_rounds,
        "max_question": limits.max_question,
        "deadline_ms": 60_000,
        "verifies": True,
        "asks_for_a_key": False,
    }


async def test_its_files_are_one_path_to_the_metrics(client: httpx2.AsyncClient) -> None:
    for name in NAMES:
        await client.get(f"/page/{name}")
    await client.get("/page/nothing.js")
    lines = (await client.get("/metrics")).text.splitlines()
    paths = {
        found[1]
        for line in lines
        if (found := re.search(r'(?:path|route)="(/page[^"]*)"', line)) is not None
    }
    assert paths == {"/page/{name}"}
