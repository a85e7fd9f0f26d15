"""What every service is told of who may call it."""

from typing import Self

from pydantic import Field, model_validator

from chassis.config import ServiceSettings
from identity.issuers import safe
from identity.scopes import GRANTABLE


class IdentitySettings(ServiceSettings):
    """Where roster answers, from which API keys are heard, and how long they are believed while it is away; an OIDC
    issuer, whose tokens must be for the audience, and what their claims mean; the default limit of calls.

    `oidc_groups` gives the scopes of each group, as JSON: `{"sre": ["alerts:write"]}`. `rate_limit` is in calls a
    second of one caller to one process; 0 is any number.
    """

    roster_address: str = "127.0.0.1:9001"
    keys_kept_seconds: int = Field(default=3600, ge=0)
    oidc_issuer: str = ""
    oidc_audience: str = ""
    oidc_subject_claim: str = "sub"
    oidc_scopes_claim: str = "scope"
    oidc_groups_claim: str = "groups"
    oidc_groups: dict[str, list[str]] = {}
    rate_limit: int = Field(default=5_000, ge=0)

    @model_validator(mode="after")
    def _issuer(self) -> Self:
        if self.oidc_issuer and not safe(self.oidc_issuer):
            raise ValueError("TOCSIN_OIDC_ISSUER: want an https address")
        if self.oidc_issuer and not self.oidc_audience:
            raise ValueError("TOCSIN_OIDC_AUDIENCE: want the audience that the issuer's tokens for us have")
        if unknown := {scope for scopes in self.oidc_groups.values() for scope in scopes} - GRANTABLE:
            raise ValueError(f"TOCSIN_OIDC_GROUPS: {', '.join(sorted(unknown))}: no such scope")
        return self
