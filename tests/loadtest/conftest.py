"""The toy base of the models' tests serves the benchmarks too."""

from tests.models.conftest import tiny_base

__all__ = ["tiny_base"]
