"""Options that several commands have."""

from typing import Annotated, Final

import typer

DEFAULT_URL: Final = "http://127.0.0.1:8000"

Url = Annotated[str, typer.Option(envvar="GLORE_URL", help="Where the gateway is.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
Verify = Annotated[
    bool, typer.Option("--verify/--no-verify", help="Whether verifiers check the candidates.")
]
Correct = Annotated[bool, typer.Option("--correct", help="Refine locally from a corrected step.")]
