"""Every statement of the schema `sla`."""
