"""Structured logs that carry the trace, and metrics in Prometheus form."""

import logging
import re
import sys
from contextvars import ContextVar
from random import getrandbits

import prometheus_client
import structlog

TRACE_PARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, version 00."""

_trace: ContextVar[str] = ContextVar("trace_parent", default="")

CALLS = prometheus_client.Histogram(
    "tocsin_grpc_call_seconds",
    "How long calls took at the server.",
    ["method", "code"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


def trace_parent() -> str:
    """The `traceparent` of what is under way; empty outside a trace."""
    return _trace.get()


def enter_trace(parent: str | None) -> None:
    """Continues the caller's trace, or begins one, for the rest of this task."""
    if parent is None or not TRACE_PARENT.fullmatch(parent):
        name = f"{getrandbits(192):048x}"  # no secret
        parent = f"00-{name[:32]}-{name[32:]}-00"
    _trace.set(parent)


def _add_trace(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if parent := _trace.get():
        event["trace_id"] = parent[3:35]
    return event


def configure_logs(service: str, *, level: str, form: str) -> None:
    """Sends structlog's and the libraries' logs to standard error, one line each."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if form == "console" else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


def serve_metrics(listen: str) -> None:
    """Serves `/metrics` in a thread of its own; does nothing when `listen` is empty."""
    if listen:
        host, _, port = listen.rpartition(":")
        prometheus_client.start_http_server(int(port), addr=host or "127.0.0.1")
