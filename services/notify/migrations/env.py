"""Runs notify's migrations on the connection that the migrator opened."""

from chassis.migrate import online

online()
