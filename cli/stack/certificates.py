"""Certificates of one installation: an authority of its own, and one for each service."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

AUTHORITY = timedelta(days=3650)
LIFETIME = timedelta(days=825)
EARLIER = timedelta(minutes=5)
"""How far clocks may be behind the one that signs."""


def issued(names: Iterable[str]) -> Mapping[str, str]:
    """PEM files by name: `tls_ca.pem`, and `<name>_tls_cert.pem` and `<name>_tls_key.pem` for each service.

    Each is good for the service's own name and for this machine, for 825 days. The authority's key is thrown away:
    new certificates come with a new authority.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    now = datetime.now(UTC)

    def certificate(name: str, key: ec.EllipticCurvePrivateKey, ends: timedelta) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tocsin")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - EARLIER)
            .not_valid_after(now + ends)
        )

    authority = ec.generate_private_key(ec.SECP256R1())
    signed = (
        certificate("tocsin", authority, AUTHORITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority, SHA256())
    )
    files = {"tls_ca.pem": signed.public_bytes(Encoding.PEM).decode()}
    for name in names:
        key = ec.generate_private_key(ec.SECP256R1())
        called = [x509.DNSName(name), x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        made = (
            certificate(name, key, LIFETIME)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(called), critical=False)
            .sign(authority, SHA256())
        )
        files[f"{name}_tls_cert.pem"] = made.public_bytes(Encoding.PEM).decode()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        files[f"{name}_tls_key.pem"] = private.decode()
    return files
