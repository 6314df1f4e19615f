# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What is on disk: the manifest, its hashes and certificates, and the profiles. Needs no torch.

Imported by the other rooms; imports medsam_engine_tools.errors only.
"""
