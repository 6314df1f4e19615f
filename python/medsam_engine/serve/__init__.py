# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine serve`: one engine behind HTTP, for the browser and for programs that draw (docs/serve.md).

Needs the extra [serve]; nothing outside this package imports it but the command.

- workplace: what all requests share
- study: an image that was named when the server was started or that was uploaded, and the work on it
- worker: the one thread that computes
- app, server: the routes put together, and the process that answers them
- security, access: who may ask, and how much
- leases: the sessions of programs that speak nnInteractive's protocol
- nninteractive: that protocol
- api: the page's own interface
- log, metrics: what is told of all this
"""
