"""Connectomes made of other connectomes."""
