"""The figures of comparisons, of studies and of the paper, one per file."""
