"""Prometheus metrics of one running service, in a registry of its own: two services in one process do not clash."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """All metrics, by name."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "signet_http_requests", "HTTP requests", ["route", "method", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "signet_http_request_seconds", "Time to answer", ["route"], buckets=_SECONDS, registry=self.registry
        )
        self.images = Counter(
            "signet_images", "Images by outcome (released, refused, failed)", ["outcome"], registry=self.registry
        )
        self.refusals = Counter(
            "signet_refusals", "Refusals by stage and category", ["stage", "category"], registry=self.registry
        )
        self.stage_seconds = Histogram(
            "signet_stage_seconds", "Time of each stage", ["stage"], buckets=_SECONDS, registry=self.registry
        )
        self.verdicts = Counter("signet_verdicts", "Verdicts by level", ["level"], registry=self.registry)
        self.waiting = Gauge("signet_generations_waiting", "Generations in progress or queued", registry=self.registry)
        self.key_days_left = Gauge(
            "signet_signing_key_days_left", "Days for which signing is covered without a gap", registry=self.registry
        )
        self.certificate_days_left = Gauge(
            "signet_certificate_days_left",
            "Days until a certificate expires, by role and id",
            ["role", "id"],
            registry=self.registry,
        )
        self.time_stamps = Gauge(
            "signet_time_stamps",
            "Signatures by time-stamp outcome (stamped, without)",
            ["outcome"],
            registry=self.registry,
        )
