"""Configuration from the environment (`TOCSIN_…`) and from secret files, checked before anything starts."""

import os
from typing import Any

from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.front import Implementation

PREFIX = "TOCSIN_"


class Settings(BaseSettings):
    """What a field `name` reads: the variable `TOCSIN_NAME`, else the file `tocsin_name` in `TOCSIN_SECRETS_DIR`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    def __init__(self, **values: Any) -> None:
        super().__init__(_secrets_dir=os.environ.get(f"{PREFIX}SECRETS_DIR"), **values)


class ServiceSettings(Settings):
    """What every service is told; addresses are `host:port`, port 0 takes a free one.

    `tls_cert`, `tls_key` and `tls_ca` are PEM files, given all or none, that make gRPC mutual TLS; `tls_peers` are the
    names, comma separated, of whose certificates may call; empty: all that the CA has signed. `grpc_server` is the
    library that answers gRPC (chassis.front).
    """

    listen: str = "127.0.0.1:0"
    grpc_server: Implementation = "auto"
    metrics_listen: str = ""
    token_key: str
    tls_cert: str = ""
    tls_key: str = ""
    tls_ca: str = ""
    tls_peers: str = ""
    log_format: str = "json"
    log_level: str = "INFO"


class StoringSettings(ServiceSettings):
    """What a service with a schema and events is told besides."""

    database_url: str
    database_pool: int = 10
    nats_url: str
