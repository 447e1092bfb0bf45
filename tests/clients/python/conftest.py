import pytest

from tests.clients.python.fakes import Caller


@pytest.fixture(params=["sync", "async"])
def caller(request: pytest.FixtureRequest) -> Caller:
    return Caller(is_async=request.param == "async")
