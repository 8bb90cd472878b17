import pytest

from graphs import compiled


@pytest.fixture(scope="session")
def plain():
    """Run a function without the compiled helpers."""

    def run(function, *args, **options):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compiled, "module", lambda: None)
            return function(*args, **options)

    return run
