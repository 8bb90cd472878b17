"""Do local rules wait? Layers on several processes, with local rules and with backpropagation."""
