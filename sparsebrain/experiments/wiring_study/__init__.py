"""Does the wiring of a brain matter? The brain against nested null models on the same task."""
