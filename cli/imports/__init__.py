"""Schedules of other tools' exports, as ours: pure functions of JSON, with a word on everything that is left out."""
