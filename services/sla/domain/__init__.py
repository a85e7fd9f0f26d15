"""The rules of figures: what an event says of an alert, and how periods are divided."""
