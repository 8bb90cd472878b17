"""Reports of experiments as HTML pages, each a single file that loads nothing else."""
