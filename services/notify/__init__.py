"""Notify: how a page reaches a person, and what is heard back."""
