# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`python -m medsam_engine` is the command `medsam-engine`.

``--cmake-dir`` and ``--pkgconfig-dir``, which C++ and C projects ask for, are answered here already: they need none of
the command line's packages.
"""

import sys

from medsam_engine.base.build_folders import FOLDERS, build_folder

if len(sys.argv) == 2 and sys.argv[1] in FOLDERS:
    sys.stdout.write(f"{build_folder(sys.argv[1])}\n")
else:
    from medsam_engine.cli import main

    main()
