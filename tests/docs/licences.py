"""The licences of what is installed with the service, as the packages themselves state them."""

import re
from importlib import metadata
from itertools import chain
from typing import Final

from tests.docs.markdown import Row, code, page, table
from tests.docs.pages import ROOT

_LOCKED: Final = re.compile(r"^([\w.-]+)==([^\s+]+)", re.MULTILINE)
_LONGEST: Final = 70  # characters of a licence's name; longer ones are its text
_SAYS_NOTHING: Final = ("Copyright", "UNKNOWN")


def licences() -> str:
    """Every locked package with its version and licence: the gateway's, and the engines'."""
    gateway, run = _locked("gateway.txt"), {**_locked("run.txt"), **_locked("torch.txt")}
    added = {name: version for name, version in run.items() if name not in gateway}
    head = ("Package", "Version", "Licence")
    return page(
        "Licences",
        "GLoRe is under the licence in [LICENSE](../../LICENSE). These packages are installed with "
        "it. Names and licences are what the packages say.",
        f"## The gateway alone\n\n`requirements/gateway.txt`.\n\n{table(head, _rows(gateway))}",
        "## With engines and models\n\n`requirements/run.txt` and `requirements/torch.txt`, "
        f"without those above.\n\n{table(head, _rows(added))}",
    )


def _locked(name: str) -> dict[str, str]:
    return dict(_LOCKED.findall((ROOT / "requirements" / name).read_text(encoding="utf-8")))


def _rows(locked: dict[str, str]) -> list[Row]:
    return [(code(name), version, _licence(name)) for name, version in sorted(locked.items())]


def _licence(name: str) -> str:
    """The expression of PEP 639, else the old field, else the classifiers."""
    stated = metadata.metadata(name).json
    field = str(stated.get("license_expression") or stated.get("license") or "").strip()
    if field and len(field) < _LONGEST and not field.startswith(_SAYS_NOTHING):
        return field
    classifiers = (each.split(" :: ") for each in stated.get("classifier", ()))
    named = sorted(chain.from_iterable(c[-1:] for c in classifiers if c[0] == "License"))
    return ", ".join(named) or "in the package"
