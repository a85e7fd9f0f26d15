"""The record of changes."""

from alembic import op

from identity.audit import create_statements, watch

revision = "0005"
down_revision = "0004"

STATEMENTS = [
    *create_statements(),
    watch("escalation_policies", "escalation_policy", "policy_id"),
    watch("silence_rules", "silence_rule", "silence_rule_id"),
    watch("aggregation_rules", "aggregation_rule", "aggregation_rule_id"),
    watch("inhibition_rules", "inhibition_rule", "inhibition_rule_id"),
    watch(
        "integrations", "integration", "integration_id", hidden=["routing_key_sha256", "previous_key_sha256"]
    ),
]


def upgrade() -> None:
    """Makes the table and the triggers; a trigger waits for no reader."""
    for statement in STATEMENTS:
        op.execute(statement)
