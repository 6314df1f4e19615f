# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Cases by the many: tables of them, where their answers go, the record beside each answer, and the run over them."""
