# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The lowest room, which every other one may import. It imports the errors only.

- printable: text from files, safe to show
- error_text: an exception as one line for people
- packages: how to install what is missing
- whole_file: a file is written whole or not at all
- shared_file: files that are free for others while they are open, and their locks
- cores: how many cores there are, and how busy they are
- output_check: nothing that is read is overwritten
- build_folders: what C++ and C projects build against
- percentiles: exact ones, in little memory
- renamed: old names of parameters, for one release
"""
