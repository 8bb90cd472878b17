"""Generators of connectomes, one family a file."""
