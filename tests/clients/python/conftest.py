import pytest

from glore_client.base_client import KEY_VARIABLE, URL_VARIABLE
from tests.clients.python.fakes import Caller


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what this machine has set for real gateways out of the tests."""
    for variable in (URL_VARIABLE, KEY_VARIABLE):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(params=["sync", "async"])
def caller(request: pytest.FixtureRequest) -> Caller:
    return Caller(is_async=request.param == "async")
