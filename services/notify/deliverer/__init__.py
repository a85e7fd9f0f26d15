"""Sends what is due, by channel, and records what became of it."""
