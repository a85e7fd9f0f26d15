"""Every statement of the service, by noun; none of them begins or commits."""
