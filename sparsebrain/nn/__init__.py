"""The graph layer and what it is made of."""
