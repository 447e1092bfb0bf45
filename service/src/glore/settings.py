"""Settings from the environment: `GLORE_` in front, `__` between levels.

    GLORE_GENERATION__URL=http://127.0.0.1:8101   serves student, global and local refiner
    GLORE_SCORING__URL=http://127.0.0.1:8102      serves sorm and orm
    GLORE_ENGINES__ORM__URL=https://elsewhere     points one role to an engine of its own

Each engine takes `__URL`, `__API_KEY` and `__TIMEOUT` (seconds); a role's own engine inherits
nothing from the two. `GLORE_MODELS__<ROLE>` is the role's model name on its server,
`GLORE_TIMEOUTS__<ROLE>` how many seconds a call of the role may take,
`GLORE_FAMILIES__<ROLE>` what it reads and writes (`glore.formats.families`): a family that is
named here is checked against its server before /readyz says ready.

A variable that begins with GLORE_ and is unknown (`glore.variables`) ends the start.

GLORE_API_KEYS and GLORE_API_KEYS_FILE close the gateway to all but the holders of a key
(`glore.keys`), GLORE_RATE_PER_MINUTE bounds what each of them may ask (`glore.api.rates`).
"""

import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from glore.batches.location import is_location, password_of
from glore.engines.ports import Role
from glore.errors import ConfigurationError
from glore.formats.families import OutcomeFamily, StepFamily, WriterFamily
from glore.keys import Key, Keyring, plain_keys, read_lines, read_list
from glore.refinement.types import Strategy
from glore.variables import DELIMITER, PREFIX, names_of, wrong_names
from glore.verifiers.catalog import names_in

DEFAULT_THRESHOLD: Final = 0.5
ROLES: Final[tuple[Role, ...]] = get_args(Role)
MOST_QUESTION: Final = 20_000  # characters; what the schema takes at most
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@,]+|\*")

Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
LogLevel = Literal["debug", "info", "warning", "error"]


def _shipped_thresholds() -> Path | None:
    """The thresholds of the models that ship; None where glore-models is not installed."""
    found = importlib.util.find_spec("glore_models")
    folders = found.submodule_search_locations if found else None
    return Path(folders[0]) / "bundle" / "thresholds.json" if folders else None


def _engine_url(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.username or url.password:
        message = "put the key into API_KEY, not into the URL"
        raise ValueError(message)
    if url.query or url.fragment:
        message = "an engine's URL has no query and no fragment"
        raise ValueError(message)
    if (url.path or "").rstrip("/").endswith("/v1"):
        message = "an engine's URL ends before /v1"
        raise ValueError(message)
    return url


def _api_keys(text: SecretStr) -> SecretStr:
    if not read_list(text.get_secret_value()):
        message = "there is no key in it; unset it to let everybody ask"
        raise ValueError(message)
    return text


def _api_keys_file(file: Path) -> Path:
    if not _read_keys(file):
        message = f"{file.name} holds no key; unset it to let everybody ask"
        raise ValueError(message)
    return file


def _origins(value: object) -> object:
    """A list separated by commas as one. Raises ValueError for what is no origin."""
    if not isinstance(value, str):
        return value
    origins = tuple(item for item in (part.strip().lower() for part in value.split(",")) if item)
    if "null" in origins:
        message = "null is what any page may make itself; * says so"
        raise ValueError(message)
    if not all(_ORIGIN.fullmatch(origin) for origin in origins):
        message = "origins are written as SCHEME://HOST or SCHEME://HOST:PORT, or * for any"
        raise ValueError(message)
    return origins


def _verifiers(value: object) -> object:
    """A list separated by commas as one. Raises ValueError for a name that is not installed."""
    return names_in(value) if isinstance(value, str) else value


def _store(location: SecretStr) -> SecretStr:
    if not is_location(location.get_secret_value()):
        message = "a store is `off`, `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/DATABASE`"
        raise ValueError(message)
    return location


class EngineSettings(BaseModel):
    """One vLLM server: where it is, its key, and the longest a call to it may take."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: Annotated[AnyHttpUrl, AfterValidator(_engine_url)]
    api_key: SecretStr | None = None
    timeout: Seconds = 120.0  # the longest deadline: the budget of the request comes first


class RoleEngines(BaseModel):
    """Roles that have an engine of their own."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    student: EngineSettings | None = None
    global_refiner: EngineSettings | None = None
    local_refiner: EngineSettings | None = None
    sorm: EngineSettings | None = None
    orm: EngineSettings | None = None

    def of(self, role: Role) -> EngineSettings | None:
        """The role's own engine, if it has one."""
        engine: EngineSettings | None = getattr(self, role)
        return engine


class ModelNames(BaseModel):
    """The name of each role on its server."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    student: str = Field(default="student", min_length=1)
    global_refiner: str = Field(default="global_refiner", min_length=1)
    local_refiner: str = Field(default="local_refiner", min_length=1)
    sorm: str = Field(default="sorm", min_length=1)
    orm: str = Field(default="orm", min_length=1)

    def of(self, role: Role) -> str:
        """The role's name on its server."""
        name: str = getattr(self, role)
        return name


class RoleTimeouts(BaseModel):
    """Seconds that a call of each role may take; None: what docs/guides/deploy.md says."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    student: Seconds | None = None
    global_refiner: Seconds | None = None
    local_refiner: Seconds | None = None
    sorm: Seconds | None = None
    orm: Seconds | None = None

    def of(self, role: Role) -> float | None:
        """The setting of the role."""
        seconds: float | None = getattr(self, role)
        return seconds


class Families(BaseModel):
    """What the model of each role reads and writes.

    None is this project's own, `trained` and `newline`, and its server is not asked whether it
    fits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    student: WriterFamily | None = None
    global_refiner: WriterFamily | None = None
    local_refiner: WriterFamily | None = None
    sorm: StepFamily | None = None
    orm: OutcomeFamily | None = None

    def writer(self, role: Role) -> WriterFamily:
        """The family of a role that writes."""
        family: WriterFamily | None = getattr(self, role)
        return family or "trained"


class Settings(BaseSettings):
    """Everything that can be set. Use `load_settings` for errors that read well."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        nested_model_default_partial_update=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    generation: EngineSettings = EngineSettings(url=AnyHttpUrl("http://127.0.0.1:8101"))
    scoring: EngineSettings = EngineSettings(url=AnyHttpUrl("http://127.0.0.1:8102"))
    engines: RoleEngines = RoleEngines()
    models: ModelNames = ModelNames()
    timeouts: RoleTimeouts = RoleTimeouts()
    families: Families = Families()
    serves: str | None = Field(default=None, min_length=1)  # a name or a hash of all the weights

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=1, le=65535)
    log_level: LogLevel = "info"

    probe_timeout: Seconds = 5.0  # for each question that /readyz asks an engine

    # None: those of the models that ship, where glore-models is installed
    thresholds_file: Path | None = Field(default_factory=_shipped_thresholds)
    threshold: float | None = Field(
        default=None, ge=0, le=1, allow_inf_nan=False
    )  # None: from the file
    gate: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)  # the same
    strategy: Strategy = Strategy.GLORE  # of a request that names none
    # names of verifiers, separated by commas; `off` for none
    verifiers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_verifiers)] = ("arithmetic",)

    max_deadline: Seconds = 120.0  # the longest `deadline_ms` a request may ask for
    max_calls: int = Field(default=16, ge=1, le=1000)  # engine calls of one request
    max_generated_tokens: int = Field(default=8192, ge=1)  # of one request
    max_rounds: int = Field(default=4, ge=1, le=100)  # of refinement of one request
    rerank_reserve: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = 1.0  # seconds
    max_body: int = Field(default=64 * 1024, ge=1024)  # bytes of a request's body
    head_timeout: Seconds = 20.0  # for the head of a request; then its connection is closed
    keep_alive: int = Field(default=75, ge=1, le=3600)  # seconds an unused connection stays open
    body_timeout: Seconds = 30.0  # for the whole body of a request, from its beginning
    max_running: int = Field(default=64, ge=1, le=10_000)  # questions worked on at once
    max_waiting: int = Field(default=64, ge=0, le=100_000)  # behind them; more are refused
    max_question: int = Field(default=4000, ge=1, le=MOST_QUESTION)  # characters
    heartbeat: Seconds = 10.0  # of silence in a stream, after which a sign of life is sent

    # after SIGTERM, seconds: not ready and still listening; then for what is being worked on
    drain_delay: Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)] = 5.0
    grace: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 20.0

    max_batches: int = Field(default=16, ge=1, le=1000)  # at once; more are refused
    max_batch: int = Field(default=1000, ge=1, le=10_000)  # questions of one batch
    max_batch_body: int = Field(default=4 * 1024 * 1024, ge=1024)  # bytes
    batch_concurrency: int = Field(default=8, ge=1, le=1000)  # questions of one batch at once
    batch_lease: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] = 30.0  # seconds
    # off, sqlite:///PATH or postgresql://...; None: a SQLite file in the user's state folder
    store: Annotated[SecretStr, AfterValidator(_store)] | None = None
    store_days: Annotated[float, Field(gt=0, le=36500, allow_inf_nan=False)] = 7.0

    api_keys: Annotated[SecretStr, AfterValidator(_api_keys)] | None = None  # KEY or NAME:KEY, ...
    api_keys_file: Annotated[Path, AfterValidator(_api_keys_file)] | None = None
    rate_per_minute: int | None = Field(default=None, ge=1, le=1_000_000)  # of each key
    rate_burst: int | None = Field(default=None, ge=1, le=1_000_000)  # None: as many
    key_share: float | None = Field(default=None, gt=0, le=1)  # of the places, for each key
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)] = ()

    @model_validator(mode="after")
    def _threshold_can_be_known(self) -> Self:
        _ = self.first_error_threshold, self.draft_gate
        return self

    @model_validator(mode="after")
    def _keys_and_rate_fit(self) -> Self:
        try:
            Keyring(self._keys())
        except ValueError as error:
            message = f"{PREFIX}API_KEYS, {PREFIX}API_KEYS_FILE: {error}"
            raise ValueError(message) from None
        if self.rate_burst is not None and self.rate_per_minute is None:
            message = f"{PREFIX}RATE_BURST does nothing without {PREFIX}RATE_PER_MINUTE"
            raise ValueError(message)
        if self.key_share is not None and not self._keys():
            message = f"{PREFIX}KEY_SHARE does nothing without {PREFIX}API_KEYS"
            raise ValueError(message)
        return self

    @property
    def first_error_threshold(self) -> float:
        """A step score below it is an error: GLORE_THRESHOLD, else the bundle's, else 0.5."""
        if self.threshold is not None:
            return self.threshold
        setting = f"{PREFIX}THRESHOLD"
        content = _thresholds(self.thresholds_file, setting)
        return _threshold(self.thresholds_file, content, "first_error", setting)

    @property
    def draft_gate(self) -> float:
        """`gated` takes a draft with no step score below it: GLORE_GATE, else the bundle's.

        Without either, or when GLORE_THRESHOLD says that the file's thresholds are not wanted,
        it is the threshold of a first error.
        """
        if self.gate is not None:
            return self.gate
        if self.threshold is not None:
            return self.threshold
        content = _thresholds(self.thresholds_file, f"{PREFIX}GATE")
        name = "gate" if "gate" in content else "first_error"
        return _threshold(self.thresholds_file, content, name, f"{PREFIX}GATE")

    @property
    def identity(self) -> str | None:
        """A short hash of what answers: weights, thresholds, names, families. None: not known."""
        if self.serves is None:
            return None
        parts = (self.serves, self.first_error_threshold, self.draft_gate)
        named = (self.models.model_dump(), self.families.model_dump(), self.verifiers)
        return hashlib.sha256(json.dumps([*parts, *named]).encode()).hexdigest()[:12]

    @property
    def keyring(self) -> Keyring:
        """The keys that open the gateway, from environment and file; none: it is open."""
        return Keyring(self._keys())

    @property
    def secrets(self) -> tuple[str, ...]:
        """Whatever must not be seen in a log: keys of clients and engines, the store's password."""
        roles = (self.engine_of(role)[1] for role in ROLES)
        engines = [each.api_key for each in (self.generation, self.scoring, *roles)]
        clients = plain_keys(self.api_keys.get_secret_value()) if self.api_keys else ()
        values = (key.get_secret_value() for key in engines if key is not None)
        store = password_of(self.store.get_secret_value()) if self.store else ()
        return tuple(dict.fromkeys((*clients, *values, *store)))

    def engine_of(self, role: Role) -> tuple[str, EngineSettings]:
        """The name and the settings of the engine that serves `role`."""
        own = self.engines.of(role)
        if own is not None:
            return role, own
        if role in {"sorm", "orm"}:
            return "scoring", self.scoring
        return "generation", self.generation

    def _keys(self) -> tuple[Key, ...]:
        given = read_list(self.api_keys.get_secret_value()) if self.api_keys else ()
        kept = _read_keys(self.api_keys_file) if self.api_keys_file is not None else ()
        return (*given, *kept)


def wrong_variables() -> list[str]:
    """A sentence for each variable of this process that begins with GLORE_ and is unknown."""
    return wrong_names(os.environ, names_of(Settings))


def load_settings() -> Settings:
    """The settings of this process. Raises ConfigurationError, naming the variables."""
    if wrong := wrong_variables():
        raise ConfigurationError("\n".join(wrong))
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"{_variable(item['loc'])}: {item['msg']}" for item in error.errors(include_input=False)
        ]
        raise ConfigurationError("\n".join(lines)) from None
    except SettingsError as error:  # a whole level given as JSON that is none
        message = f"environment: {error}"
        raise ConfigurationError(message) from None


def _variable(location: tuple[int | str, ...]) -> str:
    """The environment variable that a place in the settings comes from."""
    return PREFIX + DELIMITER.join(str(part).upper() for part in location)


def _read_keys(file: Path) -> tuple[Key, ...]:
    """The keys in the file. Raises ValueError, which quotes nothing of it."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        message = f"{file.name} cannot be read"
        raise ValueError(message) from None
    try:
        return read_lines(lines)
    except ValueError as error:
        message = f"{file.name}: {error}"
        raise ValueError(message) from None


def _thresholds(file: Path | None, setting: str) -> Mapping[str, object]:
    """What the file holds, the default when there is none. Raises ValueError otherwise."""
    if file is None:
        return {"first_error": DEFAULT_THRESHOLD}
    try:
        content: object = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"first_error": DEFAULT_THRESHOLD}
    except (OSError, ValueError):
        message = f"{file.name} cannot be read as JSON; set {setting} to do without it"
        raise ValueError(message) from None
    return content if isinstance(content, Mapping) else {}


def _threshold(file: Path | None, content: Mapping[str, object], name: str, setting: str) -> float:
    """The threshold of this name in the `content` of the file. Raises ValueError."""
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        message = f"{file and file.name} has no `{name}` in 0..1; set {setting}"
        raise ValueError(message)
    return float(value)
