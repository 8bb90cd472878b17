"""Experiments with the connectomes of ``graphs`` and the models of ``sparsebrain``.

``compare`` trains and compares topologies and rules, ``reproduce`` repeats the experiment of
A. Ejima's article, and ``differences`` tests which groups of results differ significantly. ``song``
lets birds learn a pitch, ``rewiring`` compares sparse training with dense networks, ``features``
learns receptive fields without labels, ``digits_stdp`` digits with spikes, ``one_shot`` letters
that are seen once, and ``reward`` tasks with rewards. ``wiring`` compares a brain with null models
of itself, and ``pipeline`` rules whose layers learn on different processes.

``Callback`` observes the trainings of a comparison, with ``CSVLog`` and ``TensorBoardLog`` for
tables and TensorBoard. ``read_config`` reads the settings of a comparison from a file, and
``load_trained`` a model that it has saved.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparsebrain.experiments.callbacks import Callback, CSVLog, TensorBoardLog
    from sparsebrain.experiments.comparison import compare
    from sparsebrain.experiments.config import read_config
    from sparsebrain.experiments.one_shot_study.study import one_shot
    from sparsebrain.experiments.pipeline_study.study import pipeline
    from sparsebrain.experiments.plasticity_study.pitch import song
    from sparsebrain.experiments.plasticity_study.sparse_training import rewiring
    from sparsebrain.experiments.plasticity_study.spiking_digits import digits_stdp
    from sparsebrain.experiments.plasticity_study.visual_features import features
    from sparsebrain.experiments.reproduction import reproduce
    from sparsebrain.experiments.reward_study.study import reward
    from sparsebrain.experiments.saved_models import load_trained
    from sparsebrain.experiments.significance import differences
    from sparsebrain.experiments.wiring_study.study import wiring

__all__ = [
    "CSVLog",
    "Callback",
    "TensorBoardLog",
    "compare",
    "differences",
    "digits_stdp",
    "features",
    "load_trained",
    "one_shot",
    "pipeline",
    "read_config",
    "reproduce",
    "reward",
    "rewiring",
    "song",
    "wiring",
]

_MODULES = {
    "CSVLog": "callbacks",
    "Callback": "callbacks",
    "TensorBoardLog": "callbacks",
    "compare": "comparison",
    "differences": "significance",
    "digits_stdp": "plasticity_study.spiking_digits",
    "load_trained": "saved_models",
    "read_config": "config",
    "reproduce": "reproduction",
    "features": "plasticity_study.visual_features",
    "one_shot": "one_shot_study.study",
    "pipeline": "pipeline_study.study",
    "reward": "reward_study.study",
    "rewiring": "plasticity_study.sparse_training",
    "song": "plasticity_study.pitch",
    "wiring": "wiring_study.study",
}


def __getattr__(name: str) -> Any:
    # Torch takes seconds to import, and the help of the commands does not need it.
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
