"""Real connectomes that are part of the package; `data/README.md` states their origin."""

from graphs.brains.fly import fly_visual_system
from graphs.brains.larva import larva_mushroom_body
from graphs.brains.worm import c_elegans

__all__ = ["c_elegans", "fly_visual_system", "larva_mushroom_body"]
