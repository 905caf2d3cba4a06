"""References to keys: every form, and everything that is none."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import KeyMaterialError
from guard.provenance.keys.interfaces import KeyAccess
from guard.provenance.keys.open_key import open_key
from guard.provenance.keys.reference import (
    AWSReference,
    AzureReference,
    GoogleReference,
    PKCS11Reference,
    ServiceReference,
    parse_reference,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "pkcs11:token=My%20token;object=claim-signer;id=%01%0a?module-path=/lib/x.so&pin-source=file:/run/pin",
            PKCS11Reference(
                module=Path("/lib/x.so"),
                token="My token",
                label="claim-signer",
                object_id=b"\x01\x0a",
                pin_file=Path("/run/pin"),
            ),
        ),
        ("https://signer:8643/claims\n", ServiceReference(url="https://signer:8643", key_id="claims")),
        (
            "awskms:///arn:aws:kms:eu-west-1:1:key/abc",
            AWSReference(key_id="arn:aws:kms:eu-west-1:1:key/abc", region="eu-west-1", endpoint=None),
        ),
        ("awskms:///alias/claims", AWSReference(key_id="alias/claims", region=None, endpoint=None)),
        ("awskms://kms.vpc:444/abc", AWSReference(key_id="abc", region=None, endpoint="https://kms.vpc:444")),
        (
            "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
            GoogleReference(name="projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"),
        ),
        (
            "azurekms://v.vault.azure.net/claims/0123",
            AzureReference(vault_url="https://v.vault.azure.net", name="claims", version="0123"),
        ),
    ],
)
def test_every_form(text: str, expected: object) -> None:
    assert parse_reference(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "one of pkcs11:"),
        ("http://signer/claims", "one of pkcs11:"),
        ("file:///etc/passwd", "one of pkcs11:"),
        ("https://signer", "https://HOST:PORT/KEY"),
        ("https://signer/a/b", "https://HOST:PORT/KEY"),
        ("https://user:hunter2@signer/a", "https://HOST:PORT/KEY"),
        ("https://[/a", "a URI"),
        ("pkcs11:object=a", "module-path"),
        ("pkcs11:token=a?module-path=/x", "object=LABEL"),
        ("pkcs11:object=a?module-path=/x&pin-value=1234", "holds a PIN"),
        ("awskms://", "KEY-ID"),
        ("gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k", "cryptoKeyVersions"),
        ("azurekms://v.vault.azure.net/claims", "NAME/VERSION"),
        ("https://signer/a b", "one printable line"),
        ("x" * 3000, "one printable line"),
    ],
)
def test_everything_else_is_told_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(KeyMaterialError, match=message) as caught:
        parse_reference(text)
    assert "1234" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


@settings(deadline=None)
@given(st.text(max_size=80), st.sampled_from(["", "pkcs11:", "https://", "awskms://", "gcpkms://", "azurekms://"]))
def test_no_text_breaks_the_parser(text: str, scheme: str) -> None:
    with contextlib.suppress(KeyMaterialError):
        parse_reference(scheme + text)


def test_a_service_needs_its_files() -> None:
    with pytest.raises(KeyMaterialError, match="mutual TLS"):
        open_key(parse_reference("https://signer/claims"), access=KeyAccess())


def test_clouds_open_without_asking_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    key = open_key(parse_reference("awskms:///arn:aws:kms:eu-west-1:1:key/abc"), access=KeyAccess())
    assert callable(key.sign)
    key = open_key(parse_reference("azurekms://v.vault.azure.net/claims/0123"), access=KeyAccess())
    assert callable(key.sign)
