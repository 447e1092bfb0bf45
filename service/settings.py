"""Settings from the environment: `GLORE_` in front, `__` between levels.

    GLORE_GENERATION__URL=http://127.0.0.1:8101   serves student, global and local refiner
    GLORE_SCORING__URL=http://127.0.0.1:8102      serves sorm and orm
    GLORE_ENGINES__ORM__URL=https://elsewhere     points one role to an engine of its own

Each engine takes `__URL`, `__API_KEY` and `__TIMEOUT` (seconds); a role's own engine inherits
nothing from the two. `GLORE_MODELS__<ROLE>` is the role's model name on its server,
`GLORE_FAMILIES__<ROLE>` what it reads and writes (`models.formats.families`): a family that is
named here is checked against its server before /readyz says ready.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

import models
from models.formats.families import OutcomeFamily, StepFamily, WriterFamily
from service.engines.ports import Role
from service.errors import ConfigurationError

PREFIX: Final = "GLORE_"
DELIMITER: Final = "__"
DEFAULT_THRESHOLD: Final = 0.5
THRESHOLDS_FILE: Final = Path(models.__file__).parent / "bundle" / "thresholds.json"
ROLES: Final[tuple[Role, ...]] = get_args(Role)

Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
LogLevel = Literal["debug", "info", "warning", "error"]


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
    families: Families = Families()

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=1, le=65535)
    log_level: LogLevel = "info"

    probe_timeout: Seconds = 5.0  # for each question that /readyz asks an engine

    thresholds_file: Path = THRESHOLDS_FILE
    threshold: float | None = Field(
        default=None, ge=0, le=1, allow_inf_nan=False
    )  # None: from the file

    max_deadline: Seconds = 120.0  # the longest `deadline_ms` a request may ask for
    max_calls: int = Field(default=16, ge=1, le=1000)  # engine calls of one request
    max_generated_tokens: int = Field(default=8192, ge=1)  # of one request
    rerank_reserve: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = 1.0  # seconds
    max_body: int = Field(default=64 * 1024, ge=1024)  # bytes of a request's body
    max_running: int = Field(default=64, ge=1, le=10_000)  # questions worked on at once
    max_waiting: int = Field(default=64, ge=0, le=100_000)  # behind them; more are refused

    @model_validator(mode="after")
    def _threshold_can_be_known(self) -> Self:
        if self.threshold is None:
            _read_threshold(self.thresholds_file)
        return self

    @property
    def first_error_threshold(self) -> float:
        """A step score below it is an error: GLORE_THRESHOLD, else the bundle's, else 0.5."""
        if self.threshold is not None:
            return self.threshold
        return _read_threshold(self.thresholds_file)

    def engine_of(self, role: Role) -> tuple[str, EngineSettings]:
        """The name and the settings of the engine that serves `role`."""
        own = self.engines.of(role)
        if own is not None:
            return role, own
        if role in {"sorm", "orm"}:
            return "scoring", self.scoring
        return "generation", self.generation


def load_settings() -> Settings:
    """The settings of this process. Raises ConfigurationError, naming the variables."""
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


def _read_threshold(file: Path) -> float:
    """`first_error` in the file, 0.5 when there is no file. Raises ValueError otherwise."""
    try:
        content: object = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return DEFAULT_THRESHOLD
    except (OSError, ValueError):
        message = f"{file.name} cannot be read as JSON; set {PREFIX}THRESHOLD to do without it"
        raise ValueError(message) from None
    value = content.get("first_error") if isinstance(content, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        message = f"{file.name} has no `first_error` in 0..1; set {PREFIX}THRESHOLD"
        raise ValueError(message)
    return float(value)
