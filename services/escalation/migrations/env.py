"""Runs the migrations of the schema `escalation`."""

from chassis.migrate import online

online()
