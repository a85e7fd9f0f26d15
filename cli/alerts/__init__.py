"""`tocsin alerts`: what is wrong, what became of it, and what people do about it."""
