import pytest

from graphs import compiled


@pytest.fixture
def plain(monkeypatch):
    """Run a function without the compiled helpers."""

    def run(function, *args, **options):
        with monkeypatch.context() as patch:
            patch.setattr(compiled, "module", lambda: None)
            return function(*args, **options)

    return run
