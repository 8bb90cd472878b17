import pytest

from graphs.downloads import transfer
from tests.graphs.downloads.server import Server


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(transfer, "_PAUSE", 0.0)
    monkeypatch.setattr(transfer, "_CHUNK", 500)
    # Proxies of the environment do not reach the loopback address.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Server({})
    yield made
    made.stop()
