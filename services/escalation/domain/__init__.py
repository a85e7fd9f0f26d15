"""What alerts, policies and rules do: pure functions of values and `now`."""
