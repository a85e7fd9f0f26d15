"""The certificates of compose: whom the override names is issued one, and whoever calls a service may."""

from pathlib import Path

import yaml
from cryptography import x509

from cli.stack.certificates import issued
from cli.stack.layout import GATEWAY
from cli.stack.schemas import CONTEXTS

ROOT = Path(__file__).parents[3]
CALLS = {
    "roster": {"escalation", "notify", "sla", GATEWAY},
    "escalation": {"notify", GATEWAY},
    "notify": {"escalation", GATEWAY},
    "sla": {GATEWAY},
}
"""Who calls each service."""


def test_compose_gives_each_service_its_certificate_and_lets_its_callers_in() -> None:
    override = yaml.safe_load((ROOT / "docker-compose.tls.yml").read_text())
    files = {Path(secret["file"]).name for secret in override["secrets"].values()}
    assert files == set(issued([*CONTEXTS, GATEWAY]))
    assert set(override["services"]) == {*CONTEXTS, GATEWAY}
    for name, callers in CALLS.items():
        assert {*override["services"][name]["environment"]["TOCSIN_TLS_PEERS"].split(",")} == callers, name


def test_a_certificate_is_good_for_its_service_alone() -> None:
    files = issued(["sla", "roster"])
    certificate = x509.load_pem_x509_certificate(files["sla_tls_cert.pem"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["sla", "localhost"]
    assert certificate.not_valid_before_utc < certificate.not_valid_after_utc
    authority = x509.load_pem_x509_certificate(files["tls_ca.pem"].encode())
    certificate.verify_directly_issued_by(authority)
    assert len(set(files.values())) == len(files) == 5
