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


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT is a KeyboardInterrupt, even where the shell has it ignored (a job in background)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
