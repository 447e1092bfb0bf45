"""The page that describes the API, over HTTP. What a browser makes of it: tests/browser."""

import re

import httpx2


async def test_it_loads_from_here_alone(client: httpx2.AsyncClient) -> None:
    response = await client.get("/docs")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/html")
    assert "script-src 'self'; " in response.headers["Content-Security-Policy"]
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    links = re.findall(r'(?:src|href)="([^"]+)"', response.text)
    assert len(links) == 5
    for link in links:
        assert (await client.get(f"/{link}")).status_code == 200


async def test_of_the_package_it_serves_no_other_file(client: httpx2.AsyncClient) -> None:
    for name in ("redoc.standalone.js", "favicon.png", "core.py", "..%2fcore.py", ""):
        assert (await client.get(f"/docs/{name}")).status_code == 404
