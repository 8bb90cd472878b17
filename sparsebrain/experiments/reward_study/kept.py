"""Finished trainings on tasks with rewards on disk."""

from __future__ import annotations

from sparsebrain.experiments.reward_study.training import Score, Setting
from sparsebrain.experiments.scored_folder import ScoredFolder
from sparsebrain.experiments.tables import parse_row


class Scores(ScoredFolder[Setting, Score]):
    """The trainings of the study in the ``results.csv`` of a folder, one row each."""

    classes = Setting, Score
    later = frozenset({"connectome_checksum", "predicted"})

    @staticmethod
    def parse(row: dict[str, str]) -> tuple[Setting, Score]:
        """Return the setting and the score of a row."""
        score = parse_row(Score, row)
        if not score.points and not score.diverged:
            raise ValueError("a training without a curve has not diverged")
        return parse_row(Setting, row), score
