"""What holds for all tests."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# Toy models gain nothing from threads that wait for each other. torch reads it at its import.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no failure: examples may take their time.
settings.register_profile("glore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("glore")


# Files that take longest: they start first, so that no process works on one when the others end.
LONGEST = (
    "tests/loadtest/test_profiles.py",
    "tests/service/faults/test_table.py",
    "tests/models/recipes/test_killed.py",
    "tests/loadtest/test_profiles_fail.py",
    "tests/models/sampling/test_pool.py",
    "tests/models/recipes/test_leakage.py",
    "tests/service/test_memory.py",
    "tests/service/test_hung_roles.py",
    "tests/models/sampling/test_ray.py",
    "tests/clients/test_third_party.py",
    "tests/service/test_fuzz.py",
    "tests/models/evaluation/test_kept_selectors.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.nodeid.partition("::")[0], len(ranks)))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT is a KeyboardInterrupt, even where the shell has it ignored (a job in background)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
