"""How well alerts were answered: facts built from events, and figures over them."""
