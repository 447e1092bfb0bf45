"""Settings from the environment: `GLORE_` in front, `__` between levels.

    GLORE_GENERATION__URL=http://127.0.0.1:8101   serves student, global and local refiner
    GLORE_SCORING__URL=http://127.0.0.1:8102      serves sorm and orm
    GLORE_ENGINES__ORM__URL=https://elsewhere     points one role to an engine of its own

The description of each field is its line in docs/reference/settings.md. A variable that begins with
GLORE_ and is unknown (`glore.variables`) ends the start.
"""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from glore.batches.location import is_location, password_of
from glore.engines.ports import Role
from glore.errors import ConfigurationError
from glore.keys import Key, Keyring, plain_keys, read_file, read_list
from glore.refinement.types import PLANS, Strategy
from glore.role_settings import (
    ROLES,
    EngineSettings,
    Families,
    ModelNames,
    RoleEngines,
    RoleTimeouts,
    Seconds,
)
from glore.thresholds import read_thresholds, shipped_thresholds, threshold_in
from glore.variables import DELIMITER, PREFIX, names_of, wrong_names
from glore.verifiers.catalog import names_in

MOST_QUESTION: Final = 20_000  # characters; what the schema takes at most
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@,]+|\*")

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["json", "text"]


def _api_keys(text: SecretStr) -> SecretStr:
    if not read_list(text.get_secret_value()):
        message = "there is no key in it; unset it to let everybody ask"
        raise ValueError(message)
    return text


def _api_keys_file(file: Path) -> Path:
    if not read_file(file):
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


def _refining(strategy: Strategy) -> Strategy:
    if not (PLANS[strategy].refines_globally or PLANS[strategy].refines_locally):
        message = f"{strategy.value} refines nothing"
        raise ValueError(message)
    return strategy


def _store(location: SecretStr) -> SecretStr:
    if not is_location(location.get_secret_value()):
        message = "a store is `off`, `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/DATABASE`"
        raise ValueError(message)
    return location


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

    generation: EngineSettings = Field(
        default=EngineSettings(url=AnyHttpUrl("http://127.0.0.1:8101")),
        description="The server of the student and of both refiners.",
    )
    scoring: EngineSettings = Field(
        default=EngineSettings(url=AnyHttpUrl("http://127.0.0.1:8102")),
        description="The server of the SORM and of the ORM.",
    )
    engines: RoleEngines = Field(
        default=RoleEngines(),
        description="A server for one role. It inherits nothing from the two above.",
    )
    models: ModelNames = Field(
        default=ModelNames(), description="The name of the role's model on its server."
    )
    timeouts: RoleTimeouts = Field(
        default=RoleTimeouts(),
        description="Seconds that a call of the role may take. Without it the deadline and recent "
        "calls decide.",
    )
    families: Families = Field(
        default=Families(),
        description="What the role's model reads and writes: `trained` or `chat` for the student "
        "and the refiners; `newline`, `qwen_prm` or `math_shepherd` for the SORM; one of these, "
        "`sequence` or `likelihood` for the ORM. A family that is named is checked against its "
        "server.",
    )
    serves: str | None = Field(
        default=None,
        min_length=1,
        description="A name or a hash of all weights. `/readyz` shows a hash of it.",
    )

    host: str = Field(
        default="127.0.0.1", min_length=1, description="Address on which the gateway listens."
    )
    port: int = Field(default=8000, ge=1, le=65535, description="Port of the gateway.")
    log_level: LogLevel = Field(default="info", description="The least severe lines of the log.")
    log_format: LogFormat = Field(
        default="json", description="Log lines as `json`, or as `text` for people."
    )
    traces: bool = Field(
        default=False,
        description="Send traces with OpenTelemetry, as the variables `OTEL_...` say. It needs "
        "the extra `traces`.",
    )
    probe_timeout: Seconds = Field(
        default=5.0, description="Seconds that `/readyz` waits for each answer of an engine."
    )

    thresholds_file: Path | None = Field(
        default_factory=shipped_thresholds,
        description="JSON file with the thresholds `first_error` and `gate`. The default is the "
        "file of the models that ship, where glore-models is installed.",
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="A step with a lower score is an error. It goes before the file; without both "
        "it is 0.5.",
    )
    gate: float | None = Field(
        default=None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Without verifiers a candidate passes where no step scores lower. It goes "
        "before the file; without both it is the threshold.",
    )
    strategy: Strategy = Field(
        default=Strategy.GLORE, description="The strategy of requests that name none."
    )
    shadow: float = Field(
        default=0.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="The share of the questions with strategy `draft` that are also refined, for "
        "the metrics alone.",
    )
    shadow_strategy: Annotated[Strategy, AfterValidator(_refining)] = Field(
        default=Strategy.GLORE, description="The strategy by which they are refined."
    )
    verifiers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_verifiers)] = Field(
        default=("arithmetic",),
        description="Names of verifiers, separated by commas; `off` for none.",
    )

    max_deadline: Seconds = Field(
        default=120.0, description="Seconds: the longest `deadline_ms` that a request may name."
    )
    max_calls: int = Field(default=16, ge=1, le=1000, description="Engine calls of one request.")
    max_generated_tokens: int = Field(
        default=8192, ge=1, description="Generated tokens of one request."
    )
    max_rounds: int = Field(
        default=4, ge=1, le=100, description="Rounds of refinement of one request."
    )
    rerank_reserve: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = Field(
        default=1.0,
        description="Seconds before the deadline at which refinements end, so that the ORM has "
        "time.",
    )
    max_question: int = Field(
        default=4000, ge=1, le=MOST_QUESTION, description="Characters of a question."
    )
    max_body: int = Field(
        default=64 * 1024,
        ge=1024,
        description="Bytes of a body, and characters of one question of a batch.",
    )
    body_timeout: Seconds = Field(
        default=30.0, description="Seconds for a whole body, from the request's first byte."
    )
    head_timeout: Seconds = Field(
        default=20.0,
        description="Seconds for the head of a request. Then the connection is closed.",
    )
    keep_alive: int = Field(
        default=75,
        ge=1,
        le=3600,
        description="Seconds that a connection stays open without a request. A proxy before the "
        "gateway needs less.",
    )
    max_running: int = Field(
        default=64, ge=1, le=10_000, description="Questions that are answered at once."
    )
    max_waiting: int = Field(
        default=64,
        ge=0,
        le=100_000,
        description="Questions in the queue behind them. More are refused.",
    )
    heartbeat: Seconds = Field(
        default=10.0,
        description="Seconds of silence in a stream or batch, after which a heartbeat is sent.",
    )

    feedback_remembered: int = Field(
        default=10_000,
        ge=0,
        le=1_000_000,
        description="Answers that `POST /feedback` can judge, in the memory of this process. "
        "0: none.",
    )

    drain_delay: Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)] = Field(
        default=5.0,
        description="Seconds after SIGTERM in which the gateway is not ready and still listens.",
    )
    grace: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = Field(
        default=20.0, description="Seconds after that for the questions that are being answered."
    )

    max_batches: int = Field(
        default=16, ge=1, le=1000, description="Batches at once. More are refused."
    )
    max_batch: int = Field(default=1000, ge=1, le=10_000, description="Questions of one batch.")
    max_batch_body: int = Field(
        default=4 * 1024 * 1024, ge=1024, description="Bytes of the body of a batch."
    )
    batch_concurrency: int = Field(
        default=8, ge=1, le=1000, description="Questions of one batch that run at once."
    )
    batch_lease: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] = Field(
        default=30.0, description="Seconds after which the lease of a dead gateway ends."
    )
    store: Annotated[SecretStr, AfterValidator(_store)] | None = Field(
        default=None,
        description="Where results of batches are stored: `off`, `sqlite:///PATH` or "
        "`postgresql://USER:PASSWORD@HOST/DATABASE`. The default is a SQLite file in the user's "
        "state folder.",
    )
    store_days: Annotated[float, Field(gt=0, le=36500, allow_inf_nan=False)] = Field(
        default=7.0, description="Days after its start that a batch stays in the store."
    )

    api_keys: Annotated[SecretStr, AfterValidator(_api_keys)] | None = Field(
        default=None,
        description="Keys that clients may use: `KEY` or `NAME:KEY`, separated by commas. Each "
        "has 32 characters or more.",
    )
    api_keys_file: Annotated[Path, AfterValidator(_api_keys_file)] | None = Field(
        default=None,
        description="File with a line `NAME:SHA256` for each key, as `glore key` prints it. It is "
        "read at the start.",
    )
    rate_per_minute: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Requests a minute of each key; without keys, of all clients together.",
    )
    rate_burst: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Requests of each key at once. The default is the rate of a minute.",
    )
    key_share: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="The part of the slots, of the queue and of the batches that one key may use.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)] = Field(
        default=(),
        description="Origins whose web pages may ask, separated by commas: `SCHEME://HOST` or "
        "`SCHEME://HOST:PORT`; `*` for any.",
    )

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
        content = read_thresholds(self.thresholds_file, setting)
        return threshold_in(content, self.thresholds_file, "first_error", setting)

    @property
    def draft_gate(self) -> float:
        """`gated` without verifiers takes a draft with no step score below it.

        GLORE_GATE, else the bundle's. Without either, or when GLORE_THRESHOLD says that the file's
        thresholds are not wanted, it is the threshold of a first error.
        """
        if self.gate is not None:
            return self.gate
        if self.threshold is not None:
            return self.threshold
        content = read_thresholds(self.thresholds_file, f"{PREFIX}GATE")
        name = "gate" if "gate" in content else "first_error"
        return threshold_in(content, self.thresholds_file, name, f"{PREFIX}GATE")

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
        kept = read_file(self.api_keys_file) if self.api_keys_file is not None else ()
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
    """The environment variable that a setting comes from."""
    return PREFIX + DELIMITER.join(str(part).upper() for part in location)
