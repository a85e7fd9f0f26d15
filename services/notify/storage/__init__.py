"""Every statement of notify, by noun; nothing here begins or commits."""
