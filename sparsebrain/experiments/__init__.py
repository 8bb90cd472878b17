"""Trainings that join the connectomes of ``graphs`` with the models of ``sparsebrain``."""
