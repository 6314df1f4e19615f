# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`python -m medsam_engine` is the command `medsam-engine`.

It also tells C++ and C projects where the package keeps what they build against, without the packages of ``[cli]``:
``python -m medsam_engine --cmake-dir`` for ``find_package(medsam_engine)``, ``--pkgconfig-dir`` for pkg-config.
"""

import sys
from pathlib import Path

FOLDERS = {"--cmake-dir": "lib/cmake/medsam_engine", "--pkgconfig-dir": "lib/pkgconfig"}

if len(sys.argv) == 2 and sys.argv[1] in FOLDERS:
    folder = Path(__file__).resolve().parent / FOLDERS[sys.argv[1]]
    if not folder.is_dir():
        sys.exit(f"medsam-engine: {folder} is not there; install the built package (pip install .)")
    sys.stdout.write(f"{folder}\n")
else:
    from medsam_engine.cli import main

    main()
