"""Whether there are traces. Only then OpenTelemetry is imported (`glore.telemetry.spans`)."""

import os
from typing import TYPE_CHECKING

from glore.errors import ConfigurationError
from glore.installation import missing
from glore.settings import Settings

if TYPE_CHECKING:
    from glore.telemetry.spans import Tracing


def open_tracing(settings: Settings) -> "Tracing | None":
    """What makes spans, as the environment says; None where nobody wants any.

    Raises ConfigurationError for a variable that has no meaning here, and without the packages.
    """
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if not settings.traces or disabled:
        return None
    try:
        from glore.telemetry.exporting import exporting
    except ModuleNotFoundError as error:
        message = f"GLORE_TRACES needs {missing(error.name or 'opentelemetry')}"
        raise ConfigurationError(message) from None
    return exporting(os.environ)
