"""How a key that is elsewhere is named: one URI in ``key.uri`` beside the certificate chain; holds no secret.

::

    pkcs11:token=signet;object=claim-signer?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/secrets/pin
    https://signer.internal:8643/claim-signer
    awskms:///arn:aws:kms:eu-central-1:111122223333:key/0d7c8a2e-...      (or a key id, or alias/NAME)
    gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/1
    azurekms://VAULT.vault.azure.net/NAME/VERSION

Source: RFC 7512 (PKCS #11 URIs); the cloud forms are those of sigstore's cosign, so operators know them. A version of
the key is part of the name: a service that moved on to a new version would sign with a key that the certificate does
not fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, unquote_to_bytes, urlsplit

from guard.errors import KeyMaterialError

MAX_REFERENCE_CHARS = 2_000
"""Longest reference; a PKCS #11 URI with every attribute has some hundred characters."""
_GOOGLE = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+/cryptoKeyVersions/\d+")
_REGION = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):")


@dataclass(frozen=True, slots=True, kw_only=True)
class PKCS11Reference:
    """A key in a token: the library that talks to it, which token, which object, where the PIN is."""

    module: Path
    token: str | None
    label: str | None
    object_id: bytes | None
    pin_file: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceReference:
    """A key behind a signing service (mutual TLS)."""

    url: str
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AWSReference:
    """A key of AWS KMS: id, alias or ARN; an endpoint of one's own (VPC) where given."""

    key_id: str
    region: str | None
    endpoint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleReference:
    """A key version of Google Cloud KMS, by its resource name."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureReference:
    """A key version of Azure Key Vault or a Managed HSM."""

    vault_url: str
    name: str
    version: str


KeyReference = PKCS11Reference | ServiceReference | AWSReference | GoogleReference | AzureReference


def parse_reference(text: str) -> KeyReference:
    """Return what a reference names.

    Args:
        text: one of the forms above; surrounding white space is dropped.

    Raises:
        KeyMaterialError: of no known form, incomplete, or with a secret in it.
    """
    uri = text.strip()
    if len(uri) > MAX_REFERENCE_CHARS or not uri.isprintable() or " " in uri:
        raise _wrong(uri[:60], "one printable line without blanks")
    try:
        parts = urlsplit(uri)
    except ValueError as exc:
        raise _wrong(uri, "a URI") from exc
    parsers: dict[str, Callable[[SplitResult], KeyReference]] = {
        "pkcs11": _pkcs11,
        "https": _service,
        "awskms": _aws,
        "gcpkms": _google,
        "azurekms": _azure,
    }
    if parts.scheme not in parsers:
        raise _wrong(uri, f"one of {', '.join(f'{name}:' for name in parsers)}")
    return parsers[parts.scheme](parts)


def _pkcs11(parts: SplitResult) -> PKCS11Reference:
    """Read the path attributes (;) and query attributes (&) of RFC 7512 section 2.3."""
    path = dict(item.partition("=")[::2] for item in parts.path.split(";") if item)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "pin-value" in query:
        raise KeyMaterialError(
            "The PKCS #11 reference holds a PIN (pin-value); secrets do not belong into configuration.",
            next_step="Use pin-source=file:/path of a file that only its owner can read.",
        )
    if "module-path" not in query:
        raise _wrong("pkcs11:...", "module-path=/path/of/the/library")
    if not ({"object", "id"} & path.keys()):
        raise _wrong("pkcs11:...", "object=LABEL or id=%01%02")
    pin = query.get("pin-source")
    return PKCS11Reference(
        module=Path(query["module-path"]),
        token=unquote(path["token"]) if "token" in path else None,
        label=unquote(path["object"]) if "object" in path else None,
        object_id=unquote_to_bytes(path["id"]) if "id" in path else None,
        pin_file=Path(pin.removeprefix("file:")) if pin else None,
    )


def _service(parts: SplitResult) -> ServiceReference:
    """Split an address into the service and the key's name, its last path segment."""
    key_id = parts.path.strip("/")
    if not parts.hostname or not key_id or "/" in key_id or parts.query or parts.username:
        raise _wrong(f"https://{parts.hostname or ''}{parts.path}", "https://HOST:PORT/KEY")
    return ServiceReference(url=f"https://{parts.netloc}", key_id=key_id)


def _aws(parts: SplitResult) -> AWSReference:
    """Read awskms://[ENDPOINT]/ID."""
    key_id = parts.path.removeprefix("/")
    if not key_id:
        raise _wrong("awskms:...", "awskms:///KEY-ID, awskms:///alias/NAME or awskms:///ARN")
    region = _REGION.match(key_id)
    endpoint = f"https://{parts.netloc}" if parts.netloc else None
    return AWSReference(key_id=key_id, region=region.group(1) if region else None, endpoint=endpoint)


def _google(parts: SplitResult) -> GoogleReference:
    """Read gcpkms://RESOURCE-NAME."""
    name = (parts.netloc + parts.path).strip("/")
    if not _GOOGLE.fullmatch(name):
        raise _wrong(f"gcpkms://{name}", "gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/1")
    return GoogleReference(name=name)


def _azure(parts: SplitResult) -> AzureReference:
    """Read azurekms://HOST/NAME/VERSION."""
    steps = parts.path.strip("/").split("/")
    if not parts.netloc or len(steps) != 2 or not all(steps):
        raise _wrong(f"azurekms://{parts.netloc}{parts.path}", "azurekms://VAULT.vault.azure.net/NAME/VERSION")
    return AzureReference(vault_url=f"https://{parts.netloc}", name=steps[0], version=steps[1])


def _wrong(got: str, expected: str) -> KeyMaterialError:
    return KeyMaterialError(
        f"The key reference {got!r} cannot be used; expected {expected}.",
        next_step="Correct key.uri; docs/keys.md lists the forms.",
    )
