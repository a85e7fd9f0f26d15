"""Which HTTP status stands for which gRPC status."""

import grpc

GRPC_NAMES: dict[int, str] = {code.value[0]: code.name for code in grpc.StatusCode}
HTTP: dict[str, int] = {
    "OK": 200,
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


def http_status(code: int) -> int:
    """The HTTP status of a gRPC status number."""
    return HTTP.get(GRPC_NAMES.get(code, "UNKNOWN"), 500)
