"""What a gateway says of its settings, and that it keeps its secrets."""

import json
from pathlib import Path

import pytest

from glore.keys import Key, new_key
from glore.settings import Settings, load_settings
from glore.startup import described, exposed, lines

SECRET = "hidden-" + "k" * 32


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment with a secret in every place that has one."""
    file = tmp_path / "keys"
    file.write_text(Key.of("bob", new_key()).line, encoding="utf-8")
    values = {
        "API_KEYS": f"alice:{SECRET}",
        "API_KEYS_FILE": str(file),
        "GENERATION__API_KEY": SECRET,
        "ENGINES__ORM": json.dumps({"url": "http://orm:9", "api_key": SECRET}),
        "STORE": f"postgresql://user:{SECRET}@db.example:5432/glore?password={SECRET}",
        "MODELS__ORM": "orm-v2",
        "FAMILIES__ORM": "sequence",
        "THRESHOLD": "0.25",
        "MAX_RUNNING": "7",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"GLORE_{name}", value)
    return monkeypatch


@pytest.mark.usefixtures("keyed")
def test_everything_that_can_be_set_is_reported_but_for_secrets() -> None:
    reported = described(load_settings())
    assert reported["engines"] == {
        **{
            role: {
                "engine": "generation",
                "url": "http://127.0.0.1:8101/",
                "model": role,
                "family": "trained",
                "timeout": 120.0,
                "key": True,
            }
            for role in ("student", "global_refiner", "local_refiner")
        },
        "sorm": {
            "engine": "scoring",
            "url": "http://127.0.0.1:8102/",
            "model": "sorm",
            "family": "newline",
            "timeout": 120.0,
            "key": False,
        },
        "orm": {
            "engine": "orm",
            "url": "http://orm:9/",
            "model": "orm-v2",
            "family": "sequence",
            "timeout": 120.0,
            "key": True,
        },
    }
    assert (reported["first_error_threshold"], reported["draft_gate"]) == (0.25, 0.25)
    assert (reported["keys"], reported["max_running"]) == (2, 7)
    assert reported["store"] == "postgresql"
    assert reported["version"]
    other = {"generation", "scoring", "models", "families", "threshold", "gate", "api_keys"}
    left_out = {name for name in Settings.model_fields if name not in reported}
    assert left_out == {*other, "api_keys_file"}
    shown = json.dumps(reported) + "\n".join(lines(reported))
    assert "hidden" not in shown


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("off", "off"),
        ("sqlite:////var/b.sqlite3", "sqlite, /var/b.sqlite3"),
        ("postgres://u:p@[::1/d", "postgresql"),
        ("postgresql://user:p@ss/word@host/d", "postgresql"),
    ],
)
def test_a_store_is_reported_by_its_kind(
    monkeypatch: pytest.MonkeyPatch, location: str, kind: str
) -> None:
    monkeypatch.setenv("GLORE_STORE", location)
    assert described(load_settings())["store"] == kind


@pytest.mark.parametrize(
    ("host", "open_to_others"),
    [
        ("127.0.0.1", False),
        ("127.8.8.8", False),
        ("localhost", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("0.0.0.0", True),  # noqa: S104
        ("::", True),
        ("192.0.2.7", True),
        ("::ffff:10.0.0.1", True),
        ("2001:db8::1", True),
        ("no such host", False),
    ],
)
def test_a_gateway_without_keys_that_others_reach_says_so(
    host: str, *, open_to_others: bool
) -> None:
    warning = exposed(host, keys=0)
    assert bool(warning) is open_to_others
    assert exposed(host, keys=1) is None
    if warning:
        assert f"listens on {host} and asks for no key" in warning
        assert "GLORE_API_KEYS" in warning


def test_settings_are_readable() -> None:
    reported = lines({"a": {"b": {"c": 1, "d": None}}, "e": [], "f": ("x", "y"), "g": True})
    assert reported == ["a:", "  b: c 1, d none", "e: none", "f: x, y", "g: yes"]
