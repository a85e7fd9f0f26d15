"""Who calls, for every service: API keys, an issuer's tokens, limits and the record of changes (ADR 25)."""
