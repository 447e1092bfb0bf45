"""The command lines of a preset's servers and of its gateway.

Unlike the engines of the small bundled models, these run on a GPU: bfloat16, graph capture on,
no threads to share out. Weights are looked for in the hub's cache and fetched when not there.
"""

import os
from collections.abc import Mapping

from glore_models.serving.engines import HERE, SERVER, STOPPING, without_settings
from glore_models.serving.errors import ServingError
from glore_models.serving.presets import PRESETS, WRITERS, Preset, Server
from glore_models.serving.processes import PYTHON, Launch

_URLS = {
    "generation": "GLORE_GENERATION__URL",
    "sorm": "GLORE_ENGINES__SORM__URL",
    "orm": "GLORE_ENGINES__ORM__URL",
}


def preset_named(name: str) -> Preset:
    """The preset of this name. Raises ServingError, naming those that there are."""
    try:
        return PRESETS[name]
    except KeyError:
        raise ServingError(
            problem=f"There is no preset {name!r}.",
            way_out=f"The presets are {', '.join(PRESETS)}: docs/guides/own-models.md.",
        ) from None


def preset_servers(
    preset: Preset, ports: Mapping[str, int], *, environment: Mapping[str, str] = os.environ
) -> dict[str, Launch]:
    """The servers by engine name, on `ports`; one whose address is set runs elsewhere."""
    return {
        name: _server(name, server, ports[name], environment)
        for name, server in preset.servers.items()
        if not environment.get(_URLS[name])
    }


def preset_gateway(
    preset: Preset,
    host: str,
    port: int,
    servers: Mapping[str, Launch],
    *,
    environment: Mapping[str, str] = os.environ,
) -> Launch:
    """The gateway on `host`:`port`, with the address, name and family of every role.

    What the environment sets goes before the preset, but for the addresses of what runs here.
    """
    command = (*PYTHON, "-m", "glore.cli", "serve", "--host", host, "--port", str(port))
    urls = {_URLS[name]: f"http://{HERE}:{launch.port}" for name, launch in servers.items()}
    settings = {**STOPPING, **preset_settings(preset), **environment, **urls}
    return Launch("gateway", command, settings, port, "/readyz")


def preset_settings(preset: Preset) -> dict[str, str]:
    """The gateway's settings that follow from a preset: names, families and the threshold."""
    settings = {"GLORE_THRESHOLD": str(preset.threshold)}
    for role in WRITERS:
        settings[f"GLORE_MODELS__{role.upper()}"] = "generation"
        settings[f"GLORE_FAMILIES__{role.upper()}"] = preset.writer_family
    settings["GLORE_FAMILIES__SORM"] = preset.sorm_family
    settings["GLORE_FAMILIES__ORM"] = preset.orm_family
    return settings


def _server(name: str, server: Server, port: int, environment: Mapping[str, str]) -> Launch:
    command = (
        *PYTHON, *SERVER, "--host", HERE, "--port", str(port),
        "--model", server.model, "--served-model-name", name,
        "--dtype", "bfloat16", "--max-model-len", str(server.context),
        "--gpu-memory-utilization", str(server.share),
        "--disable-uvicorn-access-log", *server.flags,
    )  # fmt: skip
    settings = {"VLLM_NO_USAGE_STATS": "1", **without_settings(environment)}
    return Launch(name, command, settings, port, "/health")
