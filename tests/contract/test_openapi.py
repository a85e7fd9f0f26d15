"""The OpenAPI document keeps the rules of OpenAPI 3.1, says every route, and describes what is really answered."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from services.gateway import contract, docs, openapi
from services.gateway.contract import Contract
from services.gateway.printing import Printer
from tocsin.escalation.v1 import alert_pb2, alert_service_pb2
from tocsin.notify.v1 import contact_method_pb2
from tocsin.sla.v1 import sla_pb2

RULES = Path(__file__).parents[1] / "data" / "gateway" / "openapi-3.1.schema.json"
SPOKEN = contract.load()
DOCUMENT = openapi.document(SPOKEN)


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every object below a value."""
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(child)


def pointed(reference: str) -> Any:
    """What a reference names; raises KeyError."""
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation with its path and verb."""
    for path, item in DOCUMENT["paths"].items():
        for verb, operation in item.items():
            yield path, verb, operation


def test_the_rules_of_openapi() -> None:
    rules = json.loads(RULES.read_text())
    Draft202012Validator.check_schema(rules)
    errors = [
        f"{error.json_path}: {error.message}" for error in Draft202012Validator(rules).iter_errors(DOCUMENT)
    ]
    assert errors == []


def test_every_schema_is_one() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere() -> None:
    references = {one["$ref"] for one in walk(DOCUMENT) if "$ref" in one}
    assert len(references) > 50
    for reference in references:
        assert pointed(reference)


def test_operations_have_ids_and_parameters_of_their_paths() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    assert len(tags) == len(DOCUMENT["tags"])
    for path, _, operation in operations():
        said = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
        assert said == set(re.findall(r"\{([^}]+)\}", path))
        assert len({(one["name"], one["in"]) for one in operation["parameters"]}) == len(
            operation["parameters"]
        )
        assert set(operation["tags"]) <= tags


def test_every_rule_of_the_protos_is_there() -> None:
    said = {operation["operationId"] for _, _, operation in operations()}
    assert {rule.method.name for rule in SPOKEN.rules} <= said


def test_everything_is_described() -> None:
    undescribed = [
        f"{name}.{field}"
        for name, schema in DOCUMENT["components"]["schemas"].items()
        for field, described in schema.get("properties", {}).items()
        if not described.get("description") and name != "Error"
    ]
    assert undescribed == []
    assert all(operation["description"] and operation["summary"] for _, _, operation in operations())


def test_what_was_made_is_linked_to_what_can_be_done_with_it() -> None:
    by_name = {operation["operationId"]: operation for _, _, operation in operations()}
    made = by_name["CreateResponder"]["responses"]["200"]["links"]
    assert made["DeleteResponder"]["parameters"] == {"responder_id": "$response.body#/responder_id"}
    triggered = by_name["TriggerAlert"]["responses"]["200"]["links"]
    assert triggered["CloseAlert"]["parameters"] == {"alert_id": "$response.body#/alert/alert_id"}
    for operation in by_name.values():
        for link in operation["responses"].get("200", {}).get("links", {}).values():
            assert link["operationId"] in by_name


def test_limits_that_comments_state_are_in_the_schema() -> None:
    properties = DOCUMENT["components"]["schemas"]["Responder"]["properties"]
    assert properties["display_name"]["maxLength"] == 200
    assert re.fullmatch(properties["responder_id"]["pattern"], "ada-1")
    assert not re.fullmatch(properties["responder_id"]["pattern"], "Ada")


def test_bodies_that_must_say_something_are_required() -> None:
    by_name = {operation["operationId"]: operation for _, _, operation in operations()}
    assert by_name["TriggerAlert"]["requestBody"]["required"] is True
    assert by_name["CreateResponder"]["requestBody"]["required"] is True
    assert by_name["AcknowledgeAlert"]["requestBody"]["required"] is False


def test_scopes_and_open_operations() -> None:
    by_name = {operation["operationId"]: operation for _, _, operation in operations()}
    assert "`alerts:write`" in by_name["TriggerAlert"]["description"]
    assert "security" not in by_name["TriggerAlert"]
    assert by_name["RecordReceipt"]["security"] == [{"bearer": []}, {"link": []}]
    assert by_name["EnqueueEvent"]["security"] == []


def test_a_patch_requires_nothing_and_leaves_out_what_the_server_sets() -> None:
    changes = DOCUMENT["components"]["schemas"]["ContactMethodChanges"]
    assert "required" not in changes
    assert not {"contact_method_id", "created_at", "disabled_reason"} & set(changes["properties"])
    assert "responder_id" in DOCUMENT["components"]["schemas"]["ContactMethod"]["required"]


@pytest.mark.parametrize(
    "message",
    [
        alert_pb2.Alert(alert_id="a"),
        contact_method_pb2.ContactMethod(responder_id="ada", address="x"),
        sla_pb2.Overview(),
        alert_service_pb2.BatchTriggerAlertsResponse(
            results=[alert_service_pb2.BatchTriggerAlertsResult(alert=alert_pb2.Alert())]
        ),
    ],
)
def test_what_is_printed_fits_its_schema(message: Any) -> None:
    name = message.DESCRIPTOR.name
    validator = Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    )
    printed = Printer(message.DESCRIPTOR)(message)
    assert [error.message for error in validator.iter_errors(printed)] == []
    assert list(validator.iter_errors({**printed, next(iter(printed)): 5})) != []


def test_the_page_shows_every_operation_and_schema_and_loads_nothing() -> None:
    page = docs.render(DOCUMENT)
    for _, _, operation in operations():
        assert f'id="{operation["operationId"]}"' in page
    for name in DOCUMENT["components"]["schemas"]:
        assert f'id="schema-{name}"' in page
    for link in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{link}"' in page
    assert not re.search(r'src=|<script|<link|url\(|href="http', page)


def test_the_contract_is_what_is_installed() -> None:
    assert isinstance(SPOKEN, Contract)
    assert len(SPOKEN.services) >= 12
