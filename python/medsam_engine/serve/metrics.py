# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Counts and times for Prometheus, at /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_SECONDS = (0.005, 0.01, 0.02, 0.04, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The figures of one server. Thread-safe.

    Attributes:
        requests: answered requests, by `route` (its template, never the address itself), `method` and `status`.
        request_seconds: from the request's header to the end of the reply, by `route`.
        job_seconds: how long jobs ran on the worker.
        wait_seconds: how long they waited for it.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "medsam_requests", "Answered requests", ["route", "method", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "medsam_request_seconds", "Time of a request", ["route"], buckets=_SECONDS, registry=self.registry
        )
        self.job_seconds = Histogram(
            "medsam_job_seconds", "Time of a job on the worker", buckets=_SECONDS, registry=self.registry
        )
        self.wait_seconds = Histogram(
            "medsam_job_wait_seconds", "Time that a job waited", buckets=_SECONDS, registry=self.registry
        )
        self.jobs_waiting = Gauge("medsam_jobs_waiting", "Jobs that have not begun", registry=self.registry)
        self.leases = Gauge("medsam_leases", "Leases of nnInteractive's protocol in force", registry=self.registry)
        self.image_bytes = Gauge("medsam_lease_image_bytes", "Bytes of the leases' images", registry=self.registry)
        self.studies = Gauge("medsam_studies", "Open studies", registry=self.registry)

    def observe_job(self, waited: float, ran: float) -> None:
        """For Worker."""
        self.wait_seconds.observe(waited)
        self.job_seconds.observe(ran)

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self.registry)
