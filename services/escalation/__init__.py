"""How an alert escalates: alerts and their life, policies, noise rules, and the engine that follows them."""
