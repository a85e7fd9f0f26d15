"""Who is on call: responders, schedules, shifts and overrides, answered from memory for any instant."""
