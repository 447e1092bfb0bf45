"""The files that are written: dashboards for Grafana, rules for Prometheus."""

from pathlib import Path
from typing import Final

from dashboards import engines, objectives, refinement, service
from dashboards.grafana import as_json
from dashboards.rules import alert_file, recording_file

HERE: Final = Path(__file__).parent
RULES: Final = HERE / "rules"
BOARDS: Final = (refinement.BOARD, service.BOARD, engines.BOARD, objectives.BOARD)


def files() -> dict[Path, str]:
    """What every written file holds."""
    return {
        **{HERE / "grafana" / f"{each.uid}.json": as_json(each) for each in BOARDS},
        RULES / "recording.yml": recording_file(),
        RULES / "alerts.yml": alert_file(),
    }
