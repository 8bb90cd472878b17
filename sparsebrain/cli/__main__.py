"""``python -m sparsebrain.cli``, the same as ``sparsebrain``."""

from sparsebrain.cli.run import main

if __name__ == "__main__":
    main()
