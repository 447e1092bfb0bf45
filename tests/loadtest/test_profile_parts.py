"""Schedules, readings, measures and limits of load profiles, without any process."""

import json
import math
from dataclasses import replace

import pytest

from loadtest.profiles.definitions import AFTER, BEFORE, DURING, PROFILES
from loadtest.profiles.limits import Limit, Verdict, changed, verdicts
from loadtest.profiles.measures import LoadRun, measure, quantile
from loadtest.profiles.records import Outcome, RequestRecord, ResponseReader
from loadtest.profiles.report import Report, number
from loadtest.profiles.schedule import Phase, arrivals, question
from loadtest.profiles.watching import ResourceSample

ANSWERED, REFUSED, FAILED = Outcome


def record(number: int, due: float, took: float, outcome: Outcome = ANSWERED) -> RequestRecord:
    """A request that went out in time and ended `took` seconds after it was due."""
    return RequestRecord(
        number, due, sent=due, ended=due + took, outcome=outcome, draft=due + took / 2
    )


# --- the schedule ------------------------------------------------------------------------


def test_arrivals_have_the_rates_of_their_phases() -> None:
    phases = (Phase("rise", 100.0, 2.0, 18.0), Phase("flat", 50.0, 4.0))
    due = arrivals(phases, seed=1)
    assert [each.id for each in due] == list(range(len(due)))
    assert [each.due for each in due] == sorted(each.due for each in due)
    counts = {
        name: sum(begin <= each.due < begin + 50 for each in due)
        for name, begin in (("slow", 0), ("fast", 50), ("flat", 100))
    }
    for name, expected in (("slow", 300), ("fast", 700), ("flat", 200)):
        assert abs(counts[name] - expected) < 4 * math.sqrt(expected), name
    assert {each.phase for each in due if each.due >= 100} == {"flat"}


def test_a_seed_makes_the_same_schedule_and_the_same_questions() -> None:
    phases = (Phase("flat", 20.0, 5.0),)
    first, again, other = (arrivals(phases, seed) for seed in (1, 1, 2))
    assert first == again != other
    asked = [question(each, 1) for each in first]
    assert asked == [question(each, 1) for each in again]
    assert len(set(asked)) == len(asked)


# --- reading a response ------------------------------------------------------------------


def reading() -> ResponseReader:
    return ResponseReader(RequestRecord(0, due=1.0), "load-0-0")


def read(found: ResponseReader, *events: tuple[str, str]) -> RequestRecord:
    """Take events, a second apart."""
    for second, (name, data) in enumerate(events, start=2):
        for line in (f"event: {name}", f"data: {data}", "", ": heartbeat", ""):
            found.line(f"{line}\n".encode(), float(second))
    return found.record


def test_the_parts_of_an_answer_have_their_times() -> None:
    found = read(
        reading(),
        ("draft.delta", '{"text": "3"}'),
        ("draft.delta", '{"text": "4"}'),
        ("draft", "{}"),
        ("first_error", "{}"),
        ("selected", "{}"),
        (
            "done",
            '{"request_id": "load-0-0", "degraded": [{"stage": "score", "reason": "timeout"}]}',
        ),
    )
    assert found.outcome is ANSWERED
    assert (found.first_text, found.draft, found.first_error) == (2.0, 4.0, 5.0)
    assert found.degraded == ["score: timeout"]
    assert not found.clean
    assert RequestRecord.of(json.loads(found.to_json())) == found


def test_the_answer_to_another_request_is_a_failure() -> None:
    found = read(reading(), ("done", '{"request_id": "load-0-1"}'))
    assert (found.outcome, found.detail) == (FAILED, "the answer to another request")


def test_a_stream_that_ends_in_an_error_is_judged_as_its_problem() -> None:
    problem = '{"type": "/problems/overloaded", "status": 503, "retry_after": 2}'
    assert read(reading(), ("error", problem)).outcome is REFUSED
    problem = '{"type": "/problems/no-draft-in-time", "status": 504}'
    found = read(reading(), ("error", problem))
    assert (found.outcome, found.detail) == (FAILED, "504 no-draft-in-time")


@pytest.mark.parametrize(
    ("status", "retry_after", "outcome"),
    [
        (503, "1", REFUSED),
        (429, "30", REFUSED),
        (503, None, FAILED),
        (503, "0", FAILED),
        (503, "soon", FAILED),
        (500, "1", FAILED),
        (502, None, FAILED),
    ],
)
def test_a_refusal_is_429_or_503_with_retry_after(
    status: int, retry_after: str | None, outcome: Outcome
) -> None:
    found = reading()
    found.problem(status, {}, retry_after)
    assert found.record.outcome is outcome
    assert found.record.detail.startswith(f"{status} ")


# --- measures ----------------------------------------------------------------------------


def test_quantiles_are_values_that_were_measured() -> None:
    assert quantile([], 0.95) is None
    assert quantile([3.0], 0.95) == 3.0
    assert quantile(map(float, range(1, 101)), 0.95) == 95.0
    assert quantile([1.0, 2.0], 0.5) == 1.0


def test_latency_counts_from_when_a_request_was_due_and_not_from_when_it_was_sent() -> None:
    late = RequestRecord(0, due=1.0, sent=3.0, ended=4.0, outcome=ANSWERED, draft=3.5)
    found = measure(LoadRun(1, [late], {"steady": (0.0, 10.0)}))["all"]
    assert (found["answer_p95"], found["draft_p95"]) == (3.0, 2.5)
    assert found["schedule_delay_p99"] == 2.0


def test_a_late_generator_achieves_less_than_the_scheduled_rate() -> None:
    sent = [replace(record(i, float(i), 1.0), sent=2.0 * i) for i in range(10)]
    assert measure(LoadRun(10, sent, {}))["all"]["achieved_share"] == 0.5


def test_what_has_no_record_is_lost() -> None:
    run = LoadRun(3, [record(0, 0.0, 1.0), record(2, 2.0, 1.0)], {"steady": (0.0, 3.0)})
    assert measure(run)["all"]["lost"] == 1


def test_requests_that_run_when_the_disturbance_begins_belong_to_it() -> None:
    records = [record(0, 1.0, 1.0), record(1, 9.0, 2.0), record(2, 12.0, 1.0), record(3, 21, 1)]
    run = LoadRun(4, records, {BEFORE: (0.0, 10.0), DURING: (10.0, 20.0), AFTER: (20.0, 30.0)})
    found = measure(run)
    assert [found[name]["requests"] for name in (BEFORE, DURING, AFTER, "all")] == [1, 2, 1, 4]


@pytest.mark.parametrize(
    ("harmed", "recovery"),
    [(set(), 0.0), ({0, 1}, 0.0), ({10, 12}, 2.0), ({19}, math.inf), ({17}, math.inf)],
)
def test_recovery_lasts_until_the_last_request_that_is_harmed(
    harmed: set[int], recovery: float
) -> None:
    records = [record(i, float(i), 0.5, REFUSED if i in harmed else ANSWERED) for i in range(20)]
    run = LoadRun(20, records, {BEFORE: (0.0, 10.0), AFTER: (10.0, 20.0)}, recovers_in=AFTER)
    assert measure(run)["all"]["recovery"] == recovery


def test_an_answer_without_all_its_parts_has_not_recovered() -> None:
    records = [record(i, float(i), 0.5) for i in range(20)]
    records[15].degraded = ["score: timeout"]
    run = LoadRun(20, records, {BEFORE: (0.0, 10.0), AFTER: (10.0, 20.0)}, recovers_in=AFTER)
    assert measure(run)["all"]["recovery"] == 5.0


def test_throughput_under_overload_is_held_against_the_best_before() -> None:
    rise = [record(i, 0.1 * i, 0.01) for i in range(600)]  # ten a second for a minute
    overload = [record(1000 + i, 60.0 + 0.2 * i, 0.01) for i in range(100)]  # five a second
    run = LoadRun(700, rise + overload, {"rise": (0.0, 60.0), "overload": (60.0, 80.0)})
    assert measure(run)["all"]["overload_throughput"] == pytest.approx(0.5, rel=0.05)


def test_growth_is_that_of_the_gateway_that_grows_most_once_it_is_warm() -> None:
    def samples(gateway: str, memory: list[float]) -> list[ResourceSample]:
        return [ResourceSample(float(i), gateway, 1e6 * m, 20, 5 + i) for i, m in enumerate(memory)]

    warm = samples("a", [10, 60, 70, 70, 70, 70, 70, 70])
    leaks = samples("b", [10, 20, 30, 40, 50, 60, 70, 80])
    flat = measure(LoadRun(0, [], {}, warm))["all"]
    assert flat["memory_growth_mb"] == 0.0
    assert flat["files_growth"] == 0.0
    assert flat["tasks_growth"] == 4.0
    assert measure(LoadRun(0, [], {}, warm + leaks))["all"]["memory_growth_mb"] == 40.0
    assert measure(LoadRun(0, [], {}, warm[:3]))["all"]["memory_growth_mb"] is None


# --- limits ------------------------------------------------------------------------------


def test_a_measure_that_is_missing_does_not_pass() -> None:
    limit = Limit("answer_p95", 4.0)
    passed = [Verdict(limit, each).passed for each in (4.0, 4.1, None, math.nan)]
    assert passed == [True, False, False, False]
    least = Limit("refused", 1, "at least", "overload")
    assert [each.passed for each in verdicts([least], {"overload": {"refused": 1.0}})] == [True]
    assert [each.passed for each in verdicts([least], {"all": {"refused": 1.0}})] == [False]


def test_limits_can_be_changed_by_name() -> None:
    limits = [Limit("answer_p95", 4.0), Limit("answer_p95", 9.0, phase="overload")]
    values = [each.value for each in changed(limits, {"overload.answer_p95": 3.0})]
    assert values == [4.0, 3.0]
    with pytest.raises(ValueError, match=r"no limit is named p95; the limits are answer_p95"):
        changed(limits, {"p95": 1.0})


def test_short_runs_widen_limits_of_times_alone() -> None:
    for profile in PROFILES.values():
        short = profile.shortened()
        for wide, limit in zip(short.limits, profile.limits, strict=True):
            if not limit.slow:
                assert wide == limit
            elif limit.bound == "at most":
                assert wide.value > limit.value
            else:
                assert wide.value < limit.value


def test_every_profile_counts_what_is_lost_and_what_fails() -> None:
    for profile in PROFILES.values():
        limits = {limit.name: limit.value for limit in profile.limits}
        assert limits["lost"] == limits["failed"] == 0
        assert "schedule_delay_p99" in limits


# --- the report --------------------------------------------------------------------------


def test_a_report_fails_with_one_limit_and_shows_what_was_not_answered() -> None:
    records = [record(0, 0.0, 1.0), record(1, 1.0, 1.0, FAILED)]
    records[1].detail = "500 internal-error"
    run = LoadRun(2, records, {"steady": (0.0, 2.0)})
    measures, limits = measure(run), [Limit("lost", 0), Limit("failed", 0)]
    report = Report(PROFILES["steady"], run, measures, verdicts(limits, measures), [], {})
    assert not report.passed
    text = report.markdown()
    assert text.startswith("# Load profile `steady`: FAILED\n")
    assert "| `lost` | at most 0 | 0 | passed |" in text
    assert "| `failed` | at most 0 | 1 | **FAILED** |" in text
    assert "Not answered: 1 x 500 internal-error." in text


def test_numbers_are_short() -> None:
    found = [number(each) for each in (None, 0.0, 10.0, 1.23456, math.inf)]
    assert found == ["-", "0", "10", "1.235", "never"]
