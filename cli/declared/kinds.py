"""What can be declared in a file, and when two descriptions of a thing are the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cli.api import Json

DEFAULT = "default"
"""The id of the schedule and of the policy that always exist."""


LABELS = "labels"
"""The field whose names are people's own, so that an empty value is no default."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A section of the file: what it holds, where the API has it, and what a field is when it is left out.

    `defaults` are by the field's path; what is empty needs none, unless a default says that empty is something else.
    A kind that is not `changeable` can only be created and deleted, and so can what differs in a `fixed` field. `unread`
    is a field that is said at creation and never answered; `listed` is what a list calls them, where that is not the
    section's name; `follows` names fields whose default is the value of another one beside them.
    """

    section: str
    one: str
    path: str
    identity: str
    fields: tuple[str, ...]
    changeable: bool = True
    fixed: tuple[str, ...] = ()
    unread: str = ""
    listed: str = ""
    follows: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, object] = field(default_factory=dict)

    def id_of(self, resource: Json) -> str:
        """The id of a resource."""
        return str(resource.get(self.identity, ""))

    def normal(self, resource: Json) -> Json:
        """The shortest description of the same: without what the server adds and what would be so anyway."""
        named = {name: resource[name] for name in (self.identity, *self.fields) if name in resource}
        if named.get("display_name") == named.get(self.identity):
            named.pop("display_name", None)
        short: Json = self._pruned(named, "")
        return short

    def differences(self, current: Json, wanted: Json) -> list[str]:
        """The fields that are not as wanted."""
        now, then = self.normal(current), self.normal(wanted)
        return [name for name in self.fields if now.get(name) != then.get(name)]

    def _meant(self, value: object, path: str) -> bool:
        """Whether a field that is left out has this value."""
        default = self.defaults.get(path)
        return value == default if isinstance(default, bool) else empty(value) or value == default

    def _follows(self, path: str, value: object, beside: Json) -> bool:
        """Whether a field that is left out takes this value from the one beside it."""
        return path in self.follows and value == beside.get(self.follows[path])

    def _pruned(self, value: Any, path: str) -> Any:
        match value:
            case dict():
                paths = {name: f"{path}.{name}".removeprefix(".") for name in value}
                kept = {name: self._pruned(one, paths[name]) for name, one in value.items()}
                return {
                    name: one
                    for name, one in kept.items()
                    if path == LABELS
                    or not (self._meant(one, paths[name]) or self._follows(paths[name], one, value))
                }
            case list():
                return [self._pruned(one, path) for one in value]
            case _:
                return value


def empty(value: object) -> bool:
    """Whether a value is what proto3 has for a field that is not set."""
    return value is None or value is False or value in ("", [], {}) or value == 0


KINDS = (
    Kind(
        section="responders",
        one="responder",
        path="/oncall/responders",
        identity="responder_id",
        fields=("display_name", "time_zone"),
        defaults={"time_zone": "UTC"},
    ),
    Kind(
        section="teams",
        one="team",
        path="/oncall/teams",
        identity="team_id",
        fields=("display_name", "responder_ids", "manager_ids"),
    ),
    Kind(
        section="schedules",
        one="schedule",
        path="/oncall/schedules",
        identity="schedule_id",
        fields=("display_name", "time_zone", "layers", "team_id"),
        defaults={"time_zone": "UTC", "layers.rotation.length": 1, "layers.time_off": "SKIP"},
    ),
    Kind(
        section="escalation_policies",
        one="policy",
        path="/escalation-policies",
        identity="policy_id",
        fields=(
            "display_name",
            "matchers",
            "priority",
            "steps",
            "repeat_count",
            "repeat_trigger",
            "handover",
            "catch_all",
            "reopen_after",
            "team_id",
        ),
        defaults={
            "handover": "OPEN_ONLY",
            "steps.ack_timeout": "300s",
            "steps.selection": "ALL",
            "steps.condition.time_zone": "UTC",
        },
    ),
    Kind(
        section="aggregation_rules",
        one="aggregation rule",
        path="/aggregation-rules",
        identity="aggregation_rule_id",
        fields=("matchers", "group_by", "window", "team_id"),
    ),
    Kind(
        section="inhibition_rules",
        one="inhibition rule",
        path="/inhibition-rules",
        identity="inhibition_rule_id",
        fields=("source_matchers", "target_matchers", "equal", "team_id"),
    ),
    Kind(
        section="integrations",
        one="integration",
        path="/integrations",
        identity="integration_id",
        fields=("display_name", "policy_id", "labels", "auto_close_after", "flapping", "team_id"),
        follows={"flapping.stable_after": "window"},
    ),
    Kind(
        section="contact_methods",
        one="contact method",
        path="/contact-methods",
        identity="contact_method_id",
        fields=(
            "responder_id",
            "channel",
            "address",
            "enabled",
            "min_severity",
            "delay",
            "order",
            "quiet_hours",
            "notify_on_resolve",
            "per_minute",
            "bundle_window",
        ),
        fixed=("responder_id", "channel"),
        unread="secret",
        defaults={
            "enabled": True,
            "min_severity": "INFO",
            "delay": "0s",
            "bundle_window": "0s",
            "quiet_hours.time_zone": "UTC",
        },
    ),
    Kind(
        section="sla_targets",
        one="SLA target",
        path="/sla/targets",
        identity="target_id",
        fields=(
            "display_name",
            "matchers",
            "acknowledge_within",
            "resolve_within",
            "business_hours",
            "at_risk_share",
            "objective",
            "budget_window",
        ),
        listed="targets",
        changeable=False,
        defaults={
            "at_risk_share": 0.75,
            "objective": 0.99,
            "budget_window": "2592000s",
            "business_hours.time_zone": "UTC",
        },
    ),
)
"""In the order in which they are made, so that each finds what it names; they are deleted in the other order."""
