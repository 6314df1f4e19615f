# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`python -m medsam_engine` is the command `medsam-engine`."""

from medsam_engine.cli import main

if __name__ == "__main__":
    main()
