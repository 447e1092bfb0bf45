"""The report in results/figures.md is what today's code counts from the kept rows.

All of it but the set gsm8k, whose questions are not ours to keep.
"""

import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from glore_models.data.run_folder import STUDENTS, RunModels, read_thresholds
from glore_models.evaluation.paper.collector import Collector, CollectPlan
from glore_models.evaluation.paper.phases import Ports
from glore_models.evaluation.paper.report import as_markdown, make_tables
from glore_models.evaluation.paper.sets import GSM8K, SETS, load_set
from glore_models.evaluation.provenance import HardwareLog
from glore_models.sampling.port import Rollout

ROOT = Path(__file__).parents[4]
KEPT = ROOT / "models" / "kept" / "paper_gpu"
SIZES = {name: each.size for name, each in SETS.items() if name != GSM8K} | {
    "easy": 1000,
    "all": 1000,
}


class Nobody:
    """A sampler and a scorer that must not be asked: everything is there."""

    def sample(
        self, prompts: Sequence[str], *, n: int, temperature: float, max_tokens: int
    ) -> list[list[Rollout]]:
        raise AssertionError((prompts, n, temperature, max_tokens))

    def score(self, solutions: Sequence[tuple[str, tuple[str, ...]]]) -> list[tuple[float, ...]]:
        raise AssertionError(solutions)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunModels:
    """The kept rows, unpacked."""
    folder = tmp_path_factory.mktemp("run")
    for path in [*KEPT.glob("*thresholds.json"), *KEPT.glob("evaluation/*/*/*")]:
        target = folder / path.relative_to(KEPT)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".gz":
            target.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        else:
            target.write_bytes(path.read_bytes())
    return RunModels(folder)


def ports(phases: Path) -> Ports:
    """Whoever made the rows, and cannot make more."""
    made_with = json.loads((phases / "made_with.json").read_text())
    identities = {role: of for file in made_with.values() for role, of in file.items()}
    nobody = Nobody()
    return Ports(nobody, nobody, nobody, nobody, nobody, identities)


def sections(report: str) -> dict[str, list[str]]:
    """The lines of each table by its heading, without the command that ends one of them."""
    parts = re.split(r"^### ", report, flags=re.MULTILINE)[1:]
    found = {}
    for part in parts:
        heading, _, rest = part.partition("\n")
        body = rest.partition("\n## ")[0].splitlines()
        found[heading] = [re.sub(r"^(n = .*) `[^`]*`$", r"\1", line) for line in body if line]
    return found


def test_the_report_is_counted_from_the_stored_rows(run: RunModels) -> None:
    thresholds = read_thresholds(run.thresholds)
    plan = CollectPlan(500, thresholds.first_error, thresholds.orm_first_error)
    questions = {
        name: load_set(name, size, None, run.questions(name)) for name, size in SIZES.items()
    }
    records, machines = {}, {}
    for name, problems in questions.items():
        for student in STUDENTS:
            phases = run.phases(student, name)
            created = Collector(name, student, problems, ports(phases), plan, phases).run()
            records[student, name] = created
            machines[student, name] = HardwareLog(phases).timed()
    counted = sections(as_markdown(make_tables(records, thresholds, machines), "again"))
    stored = sections((ROOT / "results" / "figures.md").read_text(encoding="utf-8"))
    ours = {heading for heading in stored if GSM8K not in heading}
    assert set(counted) == ours
    for heading, lines in counted.items():
        assert lines == stored[heading], heading


@pytest.mark.parametrize("file", ["README.md", "results/paper.md"])
def test_what_is_quoted_of_the_reports_stands_in_them(file: str) -> None:
    """Shares and pairs from the heading Figures on, up to those of another run."""
    figures = re.compile(r"(?<![\d/])\d+(?:/| : )\d+(?![\d/])")
    quoted = (ROOT / file).read_text(encoding="utf-8").partition("\n## Figures\n")[2]
    found = figures.findall(quoted.partition("\n## The same at the size of two cores\n")[0])
    assert len(found) > 10
    pages = [ROOT / "results" / name for name in ("figures.md", "selectors.md")]
    report = "".join(page.read_text(encoding="utf-8") for page in pages)
    assert set(found) <= set(figures.findall(report))
