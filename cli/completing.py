"""What the shell offers for an id: asked of the stack that the command line names so far; nothing when it does not answer."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice

import typer

from cli.api import Api, Json, Refused, Unreachable
from cli.where import Named, Unknown, find

Complete = Callable[[typer.Context, str], list[tuple[str, str]]]
PATIENCE = timedelta(seconds=2)
MOST = 200
"""How many are offered."""


def resources(path: str, plural: str, identity: str, told: str, **query: object) -> Complete:
    """Completes the ids of a list, each with a word of what it is; `query` narrows the list."""

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        try:
            offered = islice(_listed(ctx, path, plural, query), MOST)
            return [
                (one[identity], str(one[told])) for one in offered if one[identity].startswith(incomplete)
            ]
        except (Unknown, Unreachable, Refused):
            return []

    return complete


def _listed(ctx: typer.Context, path: str, plural: str, query: dict[str, object]) -> Iterator[Json]:
    given = ctx.params
    named = Named(given.get("gateway") or "", given.get("token") or "", given.get("data_dir"))
    return Api(find(named, os.environ), PATIENCE).each(path, plural, most=MOST, **query)


TEAMS = resources("/oncall/teams", "teams", "team_id", "display_name")
ALERTS = resources("/alerts", "alerts", "alert_id", "title", state=["OPEN", "ACKED"])
SCHEDULES = resources("/oncall/schedules", "schedules", "schedule_id", "display_name")
POLICIES = resources("/escalation-policies", "escalation_policies", "policy_id", "display_name")
SILENCES = resources(
    "/silence-rules", "silence_rules", "silence_rule_id", "comment", state=["PENDING", "ACTIVE"]
)
TARGETS = resources("/sla/targets", "targets", "target_id", "display_name")
INTEGRATIONS = resources("/integrations", "integrations", "integration_id", "display_name")
