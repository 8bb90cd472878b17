"""Pictures of comparisons, and those of the paper, one file each."""
