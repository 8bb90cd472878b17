"""Finished trainings of brains and null models on disk."""

from __future__ import annotations

from sparsebrain.experiments.scored_folder import ScoredFolder
from sparsebrain.experiments.tables import parse_row
from sparsebrain.experiments.wiring_study.training import Score, Setting


class Scores(ScoredFolder[Setting, Score]):
    """The trainings of the study in the ``results.csv`` of a folder, one row each."""

    classes = Setting, Score

    @staticmethod
    def parse(row: dict[str, str]) -> tuple[Setting, Score]:
        """Return the setting and the score of a row."""
        score = parse_row(Score, row)
        if not (score.accuracy != score.accuracy or 0 <= score.accuracy <= 1):
            raise ValueError("an accuracy is not between 0 and 1")
        return parse_row(Setting, row), score
