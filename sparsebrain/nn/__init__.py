"""The graph layer and its parts."""
