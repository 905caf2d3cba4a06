"""From a reference to a key that can be used; the one place that knows all holders."""

from __future__ import annotations

from guard.provenance.keys.aws_kms import AWSKMSKey
from guard.provenance.keys.aws_kms import open_client as aws_client
from guard.provenance.keys.azure_vault import AzureVaultKey
from guard.provenance.keys.azure_vault import open_client as azure_client
from guard.provenance.keys.google_kms import GoogleKMSKey
from guard.provenance.keys.google_kms import open_client as google_client
from guard.provenance.keys.interfaces import KeyAccess, KeyHandle
from guard.provenance.keys.pkcs11 import PKCS11Key
from guard.provenance.keys.reference import (
    AWSReference,
    GoogleReference,
    KeyReference,
    PKCS11Reference,
    ServiceReference,
)
from guard.provenance.keys.remote import RemoteKey


def open_key(reference: KeyReference, *, access: KeyAccess) -> KeyHandle:
    """Return the key that a reference names; nothing is asked of it yet.

    Args:
        reference: see ``parse_reference``.
        access: deadline, PIN and certificates.

    Raises:
        ConfigError: an extra is not installed, or the files for mutual TLS are not usable (KeyMaterialError).
    """
    if isinstance(reference, PKCS11Reference):
        return PKCS11Key(reference, access=access)
    if isinstance(reference, ServiceReference):
        return RemoteKey(reference, access=access)
    if isinstance(reference, AWSReference):
        return AWSKMSKey(reference, client=aws_client(reference, access=access))
    if isinstance(reference, GoogleReference):
        return GoogleKMSKey(reference, client=google_client(access=access), deadline_s=access.deadline_s)
    return AzureVaultKey(reference, client=azure_client(reference, access=access))
