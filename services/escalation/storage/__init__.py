"""Every statement of this service; nothing here begins or commits."""
