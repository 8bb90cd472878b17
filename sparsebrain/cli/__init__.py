"""The command line."""

from sparsebrain.cli.app import app
from sparsebrain.cli.run import main

__all__ = ["app", "main"]
