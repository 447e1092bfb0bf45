"""Swagger UI at `/docs`, in a real browser."""

import json
from collections.abc import Callable

from playwright.sync_api import Page, expect
from pydantic import SecretStr

from glore.keys import new_key

Start = Callable[..., str]
Open = Callable[..., Page]


def test_every_path_is_there_and_can_be_tried(faked: Start, opened: Open) -> None:
    key = new_key()
    url = faked(api_keys=SecretStr(f"alice:{key}"))
    requested: list[str] = []
    page = opened(f"{url}/docs", ready=".swagger-ui .opblock")
    page.on("request", lambda request: requested.append(request.url))
    paths = page.request.get(f"{url}/openapi.json").json()["paths"]
    expect(page.locator(".opblock")).to_have_count(sum(len(each) for each in paths.values()))
    page.get_by_role("button", name="Authorize").click()
    page.locator(".auth-container input").fill(key)
    page.locator(".auth-btn-wrapper .authorize").click()
    page.locator(".auth-btn-wrapper .btn-done").click()
    solve = page.locator(".opblock-post", has_text="/solveAnswer a question").first
    solve.locator(".opblock-summary-control").click()
    solve.get_by_role("button", name="Try it out").click()
    solve.locator("textarea.body-param__text").fill(
        json.dumps({"question": "How many?", "strategy": "glore"})
    )
    solve.get_by_role("button", name="Execute").click()
    expect(solve.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    expect(solve.locator(".live-responses-table")).to_contain_text("local_refinement")
    assert {each for each in requested if not each.startswith(url)} == set()
