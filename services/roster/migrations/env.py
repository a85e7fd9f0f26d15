"""Runs this service's migrations on the connection that it is given."""

from chassis.migrate import online

online()
