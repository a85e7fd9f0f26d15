"""What no annotation can say, for the OpenAPI document: paths that speak other tools' formats."""

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


KEY: Json = {
    "name": "routing_key",
    "in": "path",
    "required": True,
    "description": "The routing key of an integration; `-` takes it from the header `authorization`.",
    "schema": {"type": "string", "pattern": "^([A-Za-z0-9_-]{32}|-)$"},
}
IDENTIFIER: list[Json] = [
    {
        "name": "identifier",
        "in": "path",
        "required": True,
        "description": "The alert's alias.",
        "schema": {"type": "string", "minLength": 1},
    },
    {
        "name": "identifierType",
        "in": "query",
        "description": "The identifier is taken for the alias whatever this says.",
        "schema": {"type": "string"},
    },
]
GENIE: list[Json] = [{"genie": []}]
OBJECT: Json = {"type": "object"}
JSON: Json = {"application/json": OBJECT}
CLOUD_EVENT: Json = {"$ref": "#/components/schemas/CloudEvent"}
SCHEMAS: dict[str, Json] = {
    "CloudEvent": {
        "type": "object",
        "description": "An event in the JSON format of CloudEvents 1.0; extensions become labels.",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"type": "string", "enum": ["1.0"], "description": "The version."},
            "id": {"type": "string", "minLength": 1, "description": "Unique for its source."},
            "source": {"type": "string", "minLength": 1, "description": "Where it happened."},
            "type": {"type": "string", "minLength": 1, "description": "What happened."},
            "subject": {"type": ["string", "null"], "description": "What it is about."},
            "datacontenttype": {
                "type": ["string", "null"],
                "description": "The media type of `data_base64`.",
            },
            "data": {"description": "Anything; an object may be in the words of the plain form."},
            "data_base64": {
                "type": ["string", "null"],
                "description": "The data as bytes, instead of `data`.",
            },
        },
    }
}


def _intake(
    name: str,
    summary: str,
    description: str,
    answers: Json,
    *,
    verb: str = "post",
    parameters: Sequence[Json] = (KEY,),
    security: Sequence[Json] = (),
    media: Json = JSON,
    needed: bool = True,
) -> Json:
    return {
        verb: {
            "operationId": name,
            "tags": ["Intake"],
            "summary": summary,
            "description": description,
            "security": list(security),
            "parameters": list(parameters),
            "requestBody": {
                "required": needed,
                "content": {kind: {"schema": schema} for kind, schema in media.items()},
            },
            "responses": answers | (_told("404", "405") if parameters else {}),
        }
    }


def _genie(
    name: str, summary: str, *, verb: str = "post", parameters: Sequence[Json] = (), needed: bool = False
) -> Json:
    answers = {
        "202": _taken("Taken; `result`, `took` and `requestId` as Opsgenie's clients expect."),
        "401": _taken("No integration has the key."),
        "413": _taken("The body is too large."),
        "422": _taken("`errors` names every wrong field."),
        "429": _taken("Over the rate."),
        "503": _taken("A part of the service is away; try again."),
    }
    return _intake(
        name,
        summary,
        f"{summary}, as Opsgenie's alert API has it: its SDK and Alertmanager's `opsgenie_configs` work with their "
        "address changed to this one and the routing key as the API key.",
        answers,
        verb=verb,
        parameters=parameters,
        security=GENIE,
        needed=needed,
    )


def _told(*statuses: str) -> Json:
    return {status: {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _taken(text: str) -> Json:
    return {"description": text, "content": {"application/json": {"schema": {"type": "object"}}}}


def _feed(name: str, variable: str, whose: str) -> Json:
    return {
        "get": {
            "operationId": name,
            "tags": ["CalendarService"],
            "summary": f"The calendar of a {whose} as iCalendar",
            "description": f"Who is on call, for calendar programs: the {whose}'s time on call from 30 days ago to 180 "
            "days ahead (RFC 5545). The bearer token is in the query, since calendar programs send no headers.\n\nNeeds "
            "the scope `roster:read`.",
            "security": [{"feed": []}],
            "parameters": [{"name": variable, "in": "path", "required": True, "schema": {"type": "string"}}],
            "responses": {
                "200": {
                    "description": "The calendar.",
                    "content": {"text/calendar": {"schema": {"type": "string"}}},
                },
                **_told("400", "401", "403", "404", "405", "429", "503"),
            },
        }
    }


PATHS: dict[str, Json] = {
    "/api/alert/oncall/schedules/{schedule_id}.ics": _feed("GetScheduleFeed", "schedule_id", "schedule"),
    "/api/alert/oncall/responders/{responder_id}.ics": _feed("GetResponderFeed", "responder_id", "responder"),
    "/api/alert/routes/{route_log_id}:receipt": {
        "get": {
            "operationId": "OpenReceiptLink",
            "tags": ["RouteService"],
            "summary": "The page behind a receipt link",
            "description": "A page for people who open a receipt link: it asks for a click and changes nothing.",
            "security": [{"link": []}],
            "parameters": [
                {"name": "route_log_id", "in": "path", "required": True, "schema": {"type": "string"}},
            ],
            "responses": {
                "200": {"description": "The page.", "content": {"text/html": {"schema": {"type": "string"}}}},
                **_told("400", "401", "404", "405"),
            },
        }
    },
    "/api/alert/integrations/{routing_key}/alertmanager": _intake(
        "ReceiveAlertmanager",
        "Alertmanager's and Grafana's webhook",
        "Alertmanager's webhook, version 4, and Grafana's, version 1. One alert for each `fingerprint`; resolved ones "
        "close. Unknown fields are ignored. Answers 503, never 429, when it should be sent again.",
        {"200": _taken("Taken."), **_told("400", "401", "413", "503")},
    ),
    "/api/alert/integrations/{routing_key}/events": _intake(
        "ReceiveEvent",
        "The plain form",
        "`title`, `description`, `severity`, `source`, `labels`, `dedup_key`, `note`, and `action`: `TRIGGER` (when left "
        "out), `ACKNOWLEDGE` or `RESOLVE`. Unknown fields are ignored. The answer tells the `dedup_key`.",
        {"202": _taken("Taken."), **_told("400", "401", "413", "503")},
    ),
    "/v2/enqueue": _intake(
        "EnqueueEvent",
        "PagerDuty Events API v2",
        "What speaks PagerDuty's Events API v2 works with its address changed to this one.",
        {
            "202": _taken("Event processed."),
            "400": _taken("Event object is invalid; `errors` says why."),
            "413": _taken("Larger than 512 KB."),
            "429": _taken("Over the rate."),
            "503": _taken("A part of the service is away; try again."),
        },
        parameters=(),
    ),
    "/v2/change/enqueue": _intake(
        "EnqueueChange",
        "PagerDuty change events",
        "Answered for senders that send both kinds; a change pages nobody and is not kept.",
        {
            "202": _taken("Taken."),
            "400": _taken("Event object is invalid; `errors` says why."),
            "413": _taken("Larger than 512 KB."),
            "503": _taken("A part of the service is away; try again."),
        },
        parameters=(),
    ),
    "/api/alert/integrations/{routing_key}/cloudevents": _intake(
        "ReceiveCloudEvents",
        "CloudEvents 1.0",
        "One event, structured or in binary mode (attributes in `ce-` headers), or a batch of at most 1,000. The data may "
        "be in the words of the plain form; what it leaves out follows from the attributes.",
        {"202": _taken("Taken."), **_told("400", "401", "413", "503")},
        media={
            "application/cloudevents+json": CLOUD_EVENT,
            "application/cloudevents-batch+json": {"type": "array", "maxItems": 1000, "items": CLOUD_EVENT},
            "application/json": {},
        },
    ),
    "/v2/alerts": _genie("CreateOpsgenieAlert", "Opens an alert", needed=True),
    "/v2/alerts/{identifier}/close": _genie("CloseOpsgenieAlert", "Closes an alert", parameters=IDENTIFIER),
    "/v2/alerts/{identifier}/acknowledge": _genie(
        "AcknowledgeOpsgenieAlert", "Acknowledges an alert", parameters=IDENTIFIER
    ),
    "/v2/alerts/{identifier}/notes": _genie(
        "AddOpsgenieNote", "Adds a note to the timeline of an alert", parameters=IDENTIFIER, needed=True
    ),
    "/v2/alerts/{identifier}/message": _genie(
        "UpdateOpsgenieMessage", "Notes another message", verb="put", parameters=IDENTIFIER, needed=True
    ),
    "/v2/alerts/{identifier}/description": _genie(
        "UpdateOpsgenieDescription",
        "Notes another description",
        verb="put",
        parameters=IDENTIFIER,
        needed=True,
    ),
}
