"""The page that describes the API, made of the OpenAPI document alone."""

from html.parser import HTMLParser
from typing import Any

import httpx2
import pytest_asyncio

from glore.api.docs_page import page


class Reader(HTMLParser):
    """What a browser would make of a page: texts, places, links and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.places += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" else []
        self.loads += [tag] if tag in {"script", "link", "img", "iframe"} or "src" in given else []
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest_asyncio.fixture
async def document(client: httpx2.AsyncClient) -> dict[str, Any]:
    content: dict[str, Any] = (await client.get("/openapi.json")).json()
    return content


async def test_it_loads_nothing_and_its_links_lead_somewhere(client: httpx2.AsyncClient) -> None:
    response = await client.get("/docs")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/html")
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    seen = Reader(response.text)
    assert seen.open == []  # every element is closed
    assert seen.loads == []
    assert "http://" not in response.text.replace("http://127.0.0.1", "")
    for link in seen.links:
        assert link == "openapi.json" or link.removeprefix("#") in seen.places


async def test_every_path_answer_and_field_is_there(document: dict[str, Any]) -> None:
    words = Reader(page(document)).words
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert (f"{method.upper()} {path}" in words) == (method != "head")
            assert operation["summary"] in words
            for status, response in operation["responses"].items():
                assert f"{status}: {response['description']}" in words
    for name in ("SolveRequest", "SolveResponse", "BatchLine", "BatchBroken", "Problem"):
        for field, schema in document["components"]["schemas"][name]["properties"].items():
            assert field in words
            assert schema.get("description", "") in words
    for nested in ("sampling.top_p", "candidates[].solution", "usage.stages[].seconds"):
        assert nested in words
    assert "at most 4000" in words
    assert "refined.delta" in words


def test_what_stands_in_the_document_is_text() -> None:
    bad = "<script>alert(1)</script>"
    operation = {"summary": bad, "operationId": '"><b>', "responses": {"200": {"description": bad}}}
    written = page(
        {
            "info": {"title": bad, "version": bad, "description": bad},
            "paths": {f"/{bad}": {"get": operation}},
        }
    )
    seen = Reader(written)
    assert seen.loads == []
    assert seen.words.count(bad) >= 6
