"""The tables of the schema `sla`; migrations make them."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, MetaData, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()

AT = DateTime(timezone=True)

facts = Table(
    "facts",
    metadata,
    Column("alert_id", Uuid, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("opened_at", AT),
    Column("severity", Text, nullable=False),
    Column("policy_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("labels", JSONB, nullable=False),
    Column("closed_at", AT),
    Column("closed_by", Text, nullable=False),
    Column("opened", Boolean, nullable=False),
    Column("suppressed", Boolean, nullable=False),
    Column("noise_suppressed", Boolean, nullable=False),
    Column("acked_at", AT),
    Column("acked_by", Text, nullable=False),
    Column("first_paged_at", AT),
    Column("escalations", JSONB, nullable=False),
    Column("told", ARRAY(Text), nullable=False),
    Column("schedules", ARRAY(Text), nullable=False),
    Column("responders", ARRAY(Text), nullable=False),
    Column("reopenings", ARRAY(BigInteger), nullable=False),
    Column("timeout_escalated", Boolean, nullable=False),
)
