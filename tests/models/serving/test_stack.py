import os
import socket
import sys
from pathlib import Path

import pytest

from glore_models.serving import stack as stack_module
from glore_models.serving.errors import ServingError
from glore_models.serving.processes import Launch
from glore_models.serving.stack import Stack, is_ready

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
    def log_message(self, *_):
        pass
print("listening now", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def launch(name: str, code: str = SERVER, ready: str = "/health") -> Launch:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Launch(name, (sys.executable, "-c", code, str(port)), os.environ, port, ready)


def silent(_stage: str, _detail: str) -> None:
    pass


def test_it_waits_until_all_are_ready_and_stops_them(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    launches = [launch("generation"), launch("scoring")]
    with Stack(tmp_path) as stack:
        for one in launches:
            stack.start(one)
        stack.wait_ready(
            ["generation", "scoring"], lambda stage, detail: seen.append((stage, detail)), 60
        )
        assert all(is_ready(one) for one in launches)
        assert {stage for stage, _ in seen} <= {"generation and scoring", "generation", "scoring"}
        assert seen  # neither is ready at once
    assert not any(is_ready(one) for one in launches)


def test_a_process_that_dies_while_starting_is_reported_with_its_reason(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        stack.start(launch("scoring", "raise ValueError('no such model')"))
        with pytest.raises(ServingError) as caught:
            stack.wait_ready(["scoring"], silent, 60)
    assert "scoring engine ended with status 1" in caught.value.problem
    assert "ValueError: no such model" in caught.value.problem
    assert str(tmp_path / "scoring.log") in caught.value.way_out


def test_a_process_that_was_ready_and_dies_while_others_start_is_reported(tmp_path: Path) -> None:
    dies = SERVER.replace("serve_forever()", "handle_request()")  # once it was asked
    with Stack(tmp_path) as stack:
        stack.start(launch("generation", dies))
        stack.wait_ready(["generation"], silent, 60)
        stack.start(launch("gateway", "import time; time.sleep(600)"))
        with pytest.raises(ServingError, match="The generation engine ended with status 0"):
            stack.wait_ready(["gateway"], silent, 60)


def test_a_log_that_somebody_takes_away_is_not_missed(tmp_path: Path) -> None:
    slow = f"import time; time.sleep(2)\n{SERVER}"
    with Stack(tmp_path) as stack:
        stack.start(launch("scoring", slow))
        (tmp_path / "scoring.log").unlink()
        stack.wait_ready(["scoring"], silent, 60)


def test_a_process_that_never_gets_ready_is_reported(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        stack.start(launch("gateway", ready="/elsewhere"))
        with pytest.raises(ServingError, match="The gateway was not ready after"):
            stack.wait_ready(["gateway"], silent, 2)


def test_a_misfit_ends_the_start_with_its_reason(tmp_path: Path) -> None:
    said = '{"status": "not_ready", "problems": {"sorm": "its tokenizer merges"}}'
    refuses = SERVER.replace("self.send_response(200", "self.send_response(503").replace(
        "self.end_headers()", f"self.end_headers(); self.wfile.write({said.encode()!r})"
    )
    with Stack(tmp_path) as stack:
        stack.start(launch("gateway", refuses))
        with pytest.raises(ServingError) as caught:
            stack.wait_ready(["gateway"], silent, 60)
    assert caught.value.problem == "The sorm engine does not fit: its tokenizer merges."
    assert "docs/guides/own-models.md" in caught.value.way_out


def test_a_process_that_chatters_for_ever_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack_module, "START_SECONDS", 2.0)
    chatter = "import time\nwhile True:\n print('soon', flush=True)\n time.sleep(0.1)"
    with Stack(tmp_path) as stack:
        stack.start(launch("scoring", chatter))
        with pytest.raises(ServingError, match="The scoring engine was not ready after"):
            stack.wait_ready(["scoring"], silent)
