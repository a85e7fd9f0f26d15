"""The scopes of the protos are those that keys, tokens and issuers can give (`identity/scopes.py`)."""

from identity.scopes import GRANTABLE, SCOPES
from services.gateway import contract
from tocsin.options.v1 import options_pb2

UNASKED = {"admin", "act-as", "receipts:write"}
"""Scopes that no method names: RecordReceipt asks for its own by itself, where there is no signed link."""
OPEN = {
    "/tocsin.escalation.v1.IntegrationService/IngestSignals",
    "/tocsin.notify.v1.RouteService/RecordReceipt",
}
"""The methods that ask for no scope: the first for a routing key, the second for a signed link or `receipts:write`."""


def test_the_scopes_are_those_that_methods_ask_for() -> None:
    asked = {
        f"/{service.full_name}/{method.name}": method.GetOptions().Extensions[options_pb2.scope]
        for service in contract.load().services
        for method in service.methods
    }
    assert {path for path, scope in asked.items() if not scope} == OPEN
    assert {*asked.values()} - {""} | UNASKED == {*SCOPES}, "a new scope belongs into identity/scopes.py"
    assert {"alerts:read", "alerts:write", "roster:write", "receipts:write", "admin"} <= GRANTABLE
