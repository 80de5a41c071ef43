"""What ``/metrics`` reports, in the format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_FIRST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_BETWEEN = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters, gauges and histograms of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "chargen_requests",
            "Requests, by what became of them",
            ["outcome"],
            registry=self._registry,
        )
        self._characters = Counter(
            "chargen_characters", "Characters generated", registry=self._registry
        )
        self._first = Histogram(
            "chargen_first_character_seconds",
            "Time from a request to its first character",
            registry=self._registry,
            buckets=_FIRST,
        )
        self._between = Histogram(
            "chargen_between_characters_seconds",
            "Time between two characters of a text: a step of the engine",
            registry=self._registry,
            buckets=_BETWEEN,
        )

    def gauge(self, name: str, words: str, value: Callable[[], float]) -> None:
        """Add a number that is asked for when it is reported."""
        Gauge(f"chargen_{name}", words, registry=self._registry).set_function(value)

    def ended(self, outcome: str) -> None:
        self._requests.labels(outcome).inc()

    def wrote(self, characters: int) -> None:
        self._characters.inc(characters)

    def began(self, seconds: float) -> None:
        self._first.observe(seconds)

    def stepped(self, seconds: float) -> None:
        self._between.observe(seconds)

    def report(self) -> bytes:
        return generate_latest(self._registry)


def outcome_of(status: int, *, gone: bool) -> str:
    """What became of a request, in a word."""
    if gone:
        return "disconnected"
    known = {429: "refused", 503: "unavailable", 504: "timeout"}
    if status in known:
        return known[status]
    return "completed" if status < 400 else "invalid" if status < 500 else "failed"
