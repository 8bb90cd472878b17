"""Published connectomes that are too large for the package: downloaded once, and then read."""

from graphs.downloads.fetching import fetch

__all__ = ["fetch"]
