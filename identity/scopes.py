"""The scopes that there are, and what each is for."""

from collections.abc import Mapping

from chassis.auth import ACT_AS, ADMIN

SERVICE = "service"
"""What services call each other with; neither keys nor an issuer's tokens can have it."""

SCOPES: Mapping[str, str] = {
    ADMIN: "everything",
    ACT_AS: "name another as the actor",
    SERVICE: "what the services of one installation ask of each other",
    "alerts:read": "read alerts and their timelines",
    "alerts:write": "trigger, acknowledge, close and all other verbs",
    "audit:read": "read who changed what",
    "keys:read": "read API keys, without their secrets",
    "keys:write": "create and revoke API keys",
    "notify:read": "read contact methods, routes and inboxes",
    "notify:write": "change contact methods, mark inbox items read",
    "policies:read": "read policies, silences, aggregation rules and integrations",
    "policies:write": "change them",
    "receipts:write": "record receipts of any route",
    "roster:read": "read responders, teams, schedules, shifts, and ask who is on call",
    "roster:write": "change them",
    "sla:read": "read figures, targets and breaches",
    "sla:write": "change targets",
}
GRANTABLE = frozenset(SCOPES) - {SERVICE}
"""What keys and an issuer's tokens may have."""
