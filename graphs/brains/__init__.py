"""Real connectomes that are part of the package; `data/README.md` states their origin."""

from graphs.brains.fly import fly_visual_system
from graphs.brains.larva import larva_mushroom_body
from graphs.brains.mouse import mouse_regions
from graphs.brains.worm import c_elegans, c_elegans_male

__all__ = [
    "c_elegans",
    "c_elegans_male",
    "fly_visual_system",
    "larva_mushroom_body",
    "mouse_regions",
]
