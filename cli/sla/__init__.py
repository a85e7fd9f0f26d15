"""`tocsin sla`: how well alerts were answered."""
