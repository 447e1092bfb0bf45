"""Settings of the engines and of the five roles that they serve."""

from typing import Annotated, Final, get_args

from pydantic import AfterValidator, AnyHttpUrl, BaseModel, ConfigDict, Field, SecretStr

from glore.engines.ports import Role
from glore.formats.families import OutcomeFamily, StepFamily, WriterFamily

ROLES: Final[tuple[Role, ...]] = get_args(Role)

Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


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
    """One vLLM server."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: Annotated[AnyHttpUrl, AfterValidator(_engine_url)] = Field(
        description="Address of the server, without `/v1`."
    )
    api_key: SecretStr | None = Field(default=None, description="Key that the server asks for.")
    timeout: Seconds = Field(
        default=120.0,
        description="Seconds that any call may take. The budget of the request may end it before.",
    )


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
    """The name of each role's model on its server."""

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
    """Seconds that a call of each role may take; None: docs/design.md says how it is chosen."""

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
