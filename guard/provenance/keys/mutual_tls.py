"""Certificates for mutual TLS between front ends and a signing service: what ``signet signer init`` makes.

One authority of the operator's own, one certificate for the service, one per front end. Nothing else needs to be
trusted between the two, so no public CA is involved.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from guard.provenance.issuing import (
    BACKDATE,
    certificate_pem,
    issue_authority,
    issue_tls,
    named,
    private_pem,
    write_folder,
)

ORGANISATION = "Signet signing service"
AUTHORITY_DAYS = 5 * 365
LEAF_DAYS = 365
CA = "ca.pem"
CA_KEY = "ca.key.pem"
SERVICE = "service.pem"
SERVICE_KEY = "service.key.pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class MutualTLSFiles:
    """What was made; ``front_ends`` maps a common name to its certificate file, the key beside it as NAME.key.pem."""

    folder: Path
    files: tuple[str, ...]
    front_ends: dict[str, Path]


def init_mutual_tls(
    folder: Path, *, hosts: tuple[str, ...], front_ends: tuple[str, ...], now: datetime
) -> MutualTLSFiles:
    """Make an authority, the service's certificate and one per front end.

    Args:
        folder: must not exist, or be empty; afterwards move ca.key.pem off line.
        hosts: names and addresses under which front ends reach the service.
        front_ends: common names of the front ends.
        now: start of validity, timezone-aware.

    Raises:
        KeyMaterialError: the folder is not empty or cannot be written.
    """
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = named("Signet signing service authority", organisation=ORGANISATION)
    ca = issue_authority(
        ca_name, ca_key, issuer=ca_name, issuer_key=ca_key, path_length=0, now=now, days=AUTHORITY_DAYS
    )
    contents = {CA: (certificate_pem(ca), False), CA_KEY: (private_pem(ca_key), True)}

    def add(name: str, common_name: str, general_names: tuple[x509.GeneralName, ...]) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = issue_tls(
            key.public_key(),
            common_name=common_name,
            hosts=general_names,
            issuer=ca,
            issuer_key=ca_key,
            not_before=now - BACKDATE,
            not_after=now + timedelta(days=LEAF_DAYS),
            organisation=ORGANISATION,
        )
        contents[f"{name}.pem"] = (certificate_pem(certificate), False)
        contents[f"{name}.key.pem"] = (private_pem(key), True)

    add(SERVICE.removesuffix(".pem"), hosts[0], tuple(map(_general_name, hosts)))
    for front_end in front_ends:
        add(f"front-end-{front_end}", front_end, ())
    files = write_folder(folder, contents)
    return MutualTLSFiles(
        folder=folder,
        files=files,
        front_ends={name: folder / f"front-end-{name}.pem" for name in front_ends},
    )


def _general_name(host: str) -> x509.GeneralName:
    """Return a host as an address or a DNS name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
