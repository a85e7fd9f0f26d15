"""The demo: one real Alertmanager webhook through a stack of its own, every line read back from it."""
