"""The tables of the schema `escalation`; migrations make them."""

from sqlalchemy import MetaData

metadata = MetaData()
