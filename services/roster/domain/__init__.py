"""The rules of rosters: pure functions of schedules, shifts, overrides and instants."""
