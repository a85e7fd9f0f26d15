"""Runs the migrations of the schema `sla`."""

from chassis.migrate import online

online()
