import json
import re
from pathlib import Path

import pytest

from glore.errors import ConfigurationError
from glore.keys import Key, new_key
from glore.role_settings import ROLES
from glore.settings import Settings, load_settings, wrong_variables
from glore.variables import names_of, secret_names


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def assert_named(env: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A variable with a wrong value is told in one line, without what is hidden in it."""
    env.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"{name}: ")
    assert "hidden" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_without_settings_two_engines_of_this_machine_serve_the_five_roles() -> None:
    settings = load_settings()
    assert {role: settings.engine_of(role)[0] for role in ROLES} == {
        "student": "generation",
        "global_refiner": "generation",
        "local_refiner": "generation",
        "sorm": "scoring",
        "orm": "scoring",
    }
    assert str(settings.generation.url) == "http://127.0.0.1:8101/"
    assert str(settings.scoring.url) == "http://127.0.0.1:8102/"
    assert settings.generation.api_key is None
    assert {role: settings.models.of(role) for role in ROLES} == {role: role for role in ROLES}
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)


def test_a_role_may_have_a_timeout(env: pytest.MonkeyPatch) -> None:
    assert load_settings().timeouts.of("sorm") is None
    env.setenv("GLORE_TIMEOUTS__SORM", "2.5")
    timeouts = load_settings().timeouts
    assert {role: timeouts.of(role) for role in ROLES if timeouts.of(role)} == {"sorm": 2.5}
    env.setenv("GLORE_TIMEOUTS__SORM", "0")
    with pytest.raises(ConfigurationError, match="GLORE_TIMEOUTS__SORM"):
        load_settings()


def test_one_value_of_an_engine_leaves_the_others(env: pytest.MonkeyPatch) -> None:
    env.setenv("GLORE_GENERATION__TIMEOUT", "5")
    env.setenv("GLORE_SCORING__URL", "https://scores.example/prefix")
    env.setenv("GLORE_MODELS__ORM", "orm-v2")
    settings = load_settings()
    assert str(settings.generation.url) == "http://127.0.0.1:8101/"
    assert settings.generation.timeout == 5.0
    assert str(settings.scoring.url) == "https://scores.example/prefix"
    assert settings.models.of("orm") == "orm-v2"
    assert settings.models.of("sorm") == "sorm"


def test_a_role_can_have_an_engine_of_its_own(env: pytest.MonkeyPatch) -> None:
    env.setenv("GLORE_SCORING__API_KEY", "shared")
    env.setenv("GLORE_ENGINES__GLOBAL_REFINER__URL", "http://10.0.0.7:9000")
    settings = load_settings()
    name, engine = settings.engine_of("global_refiner")
    assert name == "global_refiner"
    assert str(engine.url) == "http://10.0.0.7:9000/"
    assert engine.api_key is None
    assert settings.engine_of("student")[0] == "generation"


def test_keys_are_not_shown(env: pytest.MonkeyPatch) -> None:
    env.setenv("GLORE_GENERATION__API_KEY", "sk-hidden")
    settings = load_settings()
    assert "sk-hidden" not in repr(settings)
    assert "sk-hidden" not in settings.model_dump_json()
    assert settings.generation.api_key is not None
    assert settings.generation.api_key.get_secret_value() == "sk-hidden"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GLORE_PORT", "0"),
        ("GLORE_PORT", "eighty"),
        ("GLORE_THRESHOLD", "1.5"),
        ("GLORE_THRESHOLD", "nan"),
        ("GLORE_MAX_DEADLINE", "0"),
        ("GLORE_MAX_DEADLINE", "inf"),
        ("GLORE_MAX_CALLS", "0"),
        ("GLORE_LOG_LEVEL", "loud"),
        ("GLORE_GENERATION__URL", "127.0.0.1:8101"),
        ("GLORE_GENERATION__URL", "http://user:hidden@host"),
        ("GLORE_GENERATION__URL", "http://host/?key=hidden"),
        ("GLORE_GENERATION__URL", "http://host/v1/"),
        ("GLORE_GENERATION__TIMEOUT", "-1"),
        ("GLORE_MODELS__STUDENT", ""),
    ],
)
def test_a_value_that_makes_no_sense_is_named(
    env: pytest.MonkeyPatch, name: str, value: str
) -> None:
    assert_named(env, name, value)


UNKNOWN = [
    ("GLORE_GENERATION_URL", "GLORE_GENERATION__URL"),
    ("GLORE_GENERATION__TIMEOUTS", "GLORE_GENERATION__TIMEOUT"),
    ("GLORE_MAX_RUNING", "GLORE_MAX_RUNNING"),
    ("GLORE_ENGINES__SRM__URL", "GLORE_ENGINES__SORM__URL"),
    ("GLORE_ENGINES_ORM_URL", "GLORE_ENGINES__ORM__URL"),
    ("GLORE_MODELS__STUDNET", "GLORE_MODELS__STUDENT"),
    ("GLORE_APIKEYS", "GLORE_API_KEYS"),
    ("GLORE_THRESHOLDS", "GLORE_THRESHOLD"),
    ("glore_generation__url", "GLORE_GENERATION__URL"),
    ("GLORE_Port", "GLORE_PORT"),
    ("GLORE_BUNDEL", "GLORE_BUNDLE"),
    ("GLORE_SOMETHING_ELSE_ENTIRELY", None),
]


@pytest.mark.parametrize(("name", "instead"), UNKNOWN)
def test_an_unknown_variable_ends_the_start_with_the_nearest_name(
    env: pytest.MonkeyPatch, name: str, instead: str | None
) -> None:
    env.setenv(name, "hidden")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    way_out = f"did you mean {instead}?" if instead else "unset it"
    assert str(caught.value) == f"{name} is not a setting; {way_out}"


def test_every_variable_that_is_read_anywhere_is_known(env: pytest.MonkeyPatch) -> None:
    """What is named in the sources, in the build and in the pages; a test may set wrong ones."""
    root = Path(__file__).parents[2]
    folders = ("service", "models", "loadtest", "clients/python", "docs", "results")
    files = [*root.glob("Makefile"), *root.glob("Dockerfile"), *root.glob("*.md"), root / ".ci/run"]
    files += [f for each in folders for f in (root / each).rglob("*") if f.suffix in {".py", ".md"}]
    named = {
        name
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if "is not a setting" not in line  # an example of a wrong one
        for name in re.findall(r"\bGLORE_[A-Z0-9_]*[A-Z0-9]\b(?!_)", line)
    }
    reads = re.compile(r"environ(?:\.get|\.setdefault)?[\[(]\s*\"(GLORE_\w+)\"")
    for file in (root / "tests").rglob("*.py"):
        named |= set(reads.findall(file.read_text(encoding="utf-8")))
    assert len(named) > 40
    for name in named:
        env.setenv(name, "x")
    assert wrong_variables() == []


def test_what_kubernetes_sets_for_a_service_is_no_mistake(env: pytest.MonkeyPatch) -> None:
    links = {
        "GLORE_SERVICE_HOST": "10.0.0.7",
        "GLORE_SERVICE_PORT": "8000",
        "GLORE_SERVICE_PORT_HTTP": "8000",
        "GLORE_PORT_8000_TCP": "tcp://10.0.0.7:8000",
        "GLORE_PORT_8000_TCP_ADDR": "10.0.0.7",
        "GLORE_GATEWAY_PORT": "tcp://10.0.0.7:8000",
    }
    for name, value in links.items():
        env.setenv(name, value)
    assert load_settings().port == 8000
    env.setenv("GLORE_GATEWAY_PORT", "8000")
    with pytest.raises(ConfigurationError, match="GLORE_GATEWAY_PORT is not a setting"):
        load_settings()


def test_secrets_are_known_by_name() -> None:
    names = secret_names(names_of(Settings))
    assert {"GLORE_API_KEY", "GLORE_API_KEYS", "GLORE_STORE", "GLORE_SCORING__API_KEY"} <= names
    assert {"GLORE_GENERATION", "GLORE_ENGINES", "GLORE_ENGINES__ORM"} <= names  # as JSON
    assert not {"GLORE_PORT", "GLORE_API_KEYS_FILE", "GLORE_GENERATION__URL"} & names


def test_an_engine_of_a_role_needs_a_url(env: pytest.MonkeyPatch) -> None:
    env.setenv("GLORE_ENGINES__ORM__API_KEY", "hidden")
    with pytest.raises(ConfigurationError, match=r"^GLORE_ENGINES__ORM__URL: Field required$"):
        load_settings()


def test_a_role_that_does_not_exist_is_named(env: pytest.MonkeyPatch) -> None:
    env.setenv("GLORE_ENGINES__JUDGE__URL", "http://host")
    with pytest.raises(ConfigurationError, match="GLORE_ENGINES__JUDGE"):
        load_settings()


def test_a_level_that_is_no_json_is_reported(env: pytest.MonkeyPatch) -> None:
    env.setenv("GLORE_GENERATION", "hidden {")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "hidden" not in str(caught.value)


# --- families ----------------------------------------------------------------------------


def test_families_are_this_projects_own_until_named(env: pytest.MonkeyPatch) -> None:
    families = load_settings().families
    assert {families.writer(role) for role in ROLES[:1] + ROLES[2:4]} == {"trained"}
    assert (families.sorm, families.orm) == (None, None)
    env.setenv("GLORE_FAMILIES__SORM", "qwen_prm")
    env.setenv("GLORE_FAMILIES__ORM", "sequence")
    families = load_settings().families
    assert (families.sorm, families.orm) == ("qwen_prm", "sequence")
    assert families.student is None


@pytest.mark.parametrize(
    ("role", "family", "known"),
    [
        ("STUDENT", "qwen_prm", "'trained' or 'chat'"),
        ("SORM", "sequence", "'newline', 'qwen_prm' or 'math_shepherd'"),
        ("ORM", "chat", "'newline', 'qwen_prm', 'math_shepherd', 'sequence' or 'likelihood'"),
    ],
)
def test_a_family_that_a_role_cannot_have_is_reported_with_those_it_can(
    env: pytest.MonkeyPatch, role: str, family: str, known: str
) -> None:
    env.setenv(f"GLORE_FAMILIES__{role}", family)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert str(caught.value) == f"GLORE_FAMILIES__{role}: Input should be {known}"


# --- keys, rate, origins -----------------------------------------------------------------

KEY = "hidden-" + "k" * 32


def test_without_keys_the_gateway_is_open() -> None:
    settings = load_settings()
    assert not settings.keyring
    assert settings.rate_per_minute is None
    assert settings.cors_origins == ()
    assert settings.secrets == ()


def test_keys_come_from_environment_and_file(env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    created = new_key()
    file = tmp_path / "keys"
    file.write_text(f"# ours\n{Key.of('bob', created).line}\n", encoding="utf-8")
    env.setenv("GLORE_API_KEYS", f"alice:{KEY}")
    env.setenv("GLORE_API_KEYS_FILE", str(file))
    env.setenv("GLORE_ENGINES__ORM__URL", "http://host")
    env.setenv("GLORE_ENGINES__ORM__API_KEY", "orm-hidden")
    settings = load_settings()
    assert settings.keyring.names == ("alice", "bob")
    assert settings.keyring.name_of(created.encode()) == "bob"
    assert settings.secrets == (KEY, "orm-hidden")
    assert "hidden" not in repr(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GLORE_API_KEYS", ""),
        ("GLORE_API_KEYS", " , "),
        ("GLORE_API_KEYS", "hidden"),
        ("GLORE_API_KEYS", f"{KEY},hidden hidden"),
        ("GLORE_API_KEYS_FILE", "nowhere"),
        ("GLORE_API_KEYS_FILE", ""),
        ("GLORE_MAX_QUESTION", "0"),
        ("GLORE_MAX_QUESTION", "20001"),
        ("GLORE_RATE_PER_MINUTE", "0"),
        ("GLORE_RATE_BURST", "0"),
        ("GLORE_CORS_ORIGINS", "page.example"),
        ("GLORE_CORS_ORIGINS", "https://page.example/"),
        ("GLORE_CORS_ORIGINS", "https://a.example;//b.example"),
        ("GLORE_CORS_ORIGINS", "https://a.example, null"),
        ("GLORE_CORS_ORIGINS", "app:obsidian.md"),
        ("GLORE_CORS_ORIGINS", "https://user@page.example"),
        ("GLORE_KEY_SHARE", "0"),
        ("GLORE_KEY_SHARE", "1.5"),
        ("GLORE_KEEP_ALIVE", "0"),
    ],
)
def test_a_wrong_key_rate_or_origin_is_reported(
    env: pytest.MonkeyPatch, name: str, value: str
) -> None:
    assert_named(env, name, value)


@pytest.mark.parametrize("content", ["", "# nobody\n", "hidden", f"bob:{KEY}", "\0\xff"])
def test_a_file_without_sound_keys_is_reported_and_not_quoted(
    env: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "keys"
    file.write_text(content, encoding="latin-1")
    assert_named(env, "GLORE_API_KEYS_FILE", str(file))


def test_one_name_for_two_keys_is_reported(env: pytest.MonkeyPatch) -> None:
    env.setenv("GLORE_API_KEYS", f"bob:{KEY},bob:{KEY}x")
    with pytest.raises(ConfigurationError, match=r"GLORE_API_KEYS.*two keys are named bob"):
        load_settings()


def test_a_burst_without_a_rate_is_reported(env: pytest.MonkeyPatch) -> None:
    env.setenv("GLORE_RATE_BURST", "5")
    with pytest.raises(ConfigurationError, match=r"GLORE_RATE_BURST.*GLORE_RATE_PER_MINUTE"):
        load_settings()


def test_a_share_without_keys_is_reported(env: pytest.MonkeyPatch) -> None:
    env.setenv("GLORE_KEY_SHARE", "0.5")
    with pytest.raises(ConfigurationError, match=r"GLORE_KEY_SHARE.*GLORE_API_KEYS"):
        load_settings()
    env.setenv("GLORE_API_KEYS", KEY)
    assert load_settings().key_share == 0.5


@pytest.mark.parametrize(
    "origin",
    [
        "app://obsidian.md",
        "chrome-extension://abcdefghijklmnop",
        "capacitor://localhost",
        "tauri://localhost",
        "http://[::1]:3000",
        "vscode-webview://1a2b",
    ],
)
def test_an_origin_may_have_any_scheme(env: pytest.MonkeyPatch, origin: str) -> None:
    env.setenv("GLORE_CORS_ORIGINS", origin.upper())  # browsers say it in small letters
    assert load_settings().cors_origins == (origin,)


def test_origins_are_separated_by_commas(env: pytest.MonkeyPatch) -> None:
    env.setenv("GLORE_CORS_ORIGINS", "https://a.example, http://localhost:3000,")
    assert load_settings().cors_origins == ("https://a.example", "http://localhost:3000")
    env.setenv("GLORE_CORS_ORIGINS", "*")
    assert load_settings().cors_origins == ("*",)


# --- the threshold -----------------------------------------------------------------------


def threshold(file: Path, content: str | None) -> float:
    if content is not None:
        file.write_text(content, encoding="utf-8")
    return Settings(thresholds_file=file).first_error_threshold


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, 0.5),
        (json.dumps({"first_error": 0.35, "other": "ignored"}), 0.35),
        (json.dumps({"first_error": 1}), 1.0),
    ],
)
def test_the_threshold_comes_from_the_bundle(
    tmp_path: Path, content: str | None, expected: float
) -> None:
    assert threshold(tmp_path / "thresholds.json", content) == expected


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"first_error": 2}', '{"first_error": true}', "NaN"]
)
def test_a_broken_file_is_reported(env: pytest.MonkeyPatch, tmp_path: Path, content: str) -> None:
    file = tmp_path / "thresholds.json"
    file.write_text(content, encoding="utf-8")
    env.setenv("GLORE_THRESHOLDS_FILE", str(file))
    with pytest.raises(ConfigurationError, match=r"thresholds\.json.*GLORE_THRESHOLD"):
        load_settings()


def test_a_threshold_that_is_set_goes_before_the_file(
    env: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env.setenv("GLORE_THRESHOLD", "0")
    assert threshold(tmp_path / "thresholds.json", "broken") == 0.0


@pytest.mark.parametrize(
    ("content", "variables", "expected"),
    [
        ({"first_error": 0.35, "gate": 0.3}, {}, 0.3),
        ({"first_error": 0.35}, {}, 0.35),
        ({"first_error": 0.35, "gate": 0.3}, {"GLORE_THRESHOLD": "0.6"}, 0.6),
        ({"first_error": 0.35, "gate": 0.3}, {"GLORE_GATE": "0.7"}, 0.7),
    ],
)
def test_the_gate_comes_from_the_bundle_or_is_the_threshold(
    env: pytest.MonkeyPatch,
    tmp_path: Path,
    content: dict[str, float],
    variables: dict[str, str],
    expected: float,
) -> None:
    file = tmp_path / "thresholds.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    for name, value in variables.items():
        env.setenv(name, value)
    assert Settings(thresholds_file=file).draft_gate == expected


def test_a_broken_gate_is_reported(env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "thresholds.json"
    file.write_text('{"first_error": 0.5, "gate": "high"}', encoding="utf-8")
    env.setenv("GLORE_THRESHOLDS_FILE", str(file))
    with pytest.raises(ConfigurationError, match=r"thresholds\.json.*`gate`.*GLORE_GATE"):
        load_settings()


# --- the store ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["hidden", "", "sqlite:///", "sqlite:/hidden", "mysql://u:hidden@host/d"]
)
def test_a_store_that_is_none_is_reported(env: pytest.MonkeyPatch, value: str) -> None:
    assert_named(env, "GLORE_STORE", value)


def test_the_stores_password_is_a_secret(env: pytest.MonkeyPatch) -> None:
    assert load_settings().secrets == ()
    env.setenv("GLORE_STORE", "sqlite:////var/lib/batches.sqlite3")
    assert load_settings().secrets == ()
    env.setenv("GLORE_STORE", "postgresql://u:hid%40den@host/d")
    settings = load_settings()
    assert set(settings.secrets) == {"hid%40den", "hid@den"}
    assert "den" not in repr(settings.store)


def test_what_is_served_has_a_name_of_its_own_under_other_settings(
    env: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env.setenv("GLORE_THRESHOLDS_FILE", str(tmp_path / "thresholds.json"))
    assert Settings().identity is None
    env.setenv("GLORE_SERVES", "the bundle")
    found = [Settings().identity]
    for name, value in (
        ("SERVES", "another"),
        ("THRESHOLD", "0.2"),
        ("GATE", "0.9"),
        ("MODELS__ORM", "other"),
        ("FAMILIES__SORM", "qwen_prm"),
    ):
        env.setenv(f"GLORE_{name}", value)
        found.append(Settings().identity)
    assert all(found)
    assert len(set(found)) == 6
    env.setenv("GLORE_PORT", "8001")  # the same answers
    assert Settings().identity == found[-1]
