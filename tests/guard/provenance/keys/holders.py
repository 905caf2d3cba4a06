"""Holders of keys for tests: a SoftHSM token, and clouds that answer from local keys over their own wire formats."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def fresh_key(algorithm: str) -> SigningKey:
    if algorithm == "ps256":
        return rsa.generate_private_key(65537, 2048)
    if algorithm == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key({"es256": ec.SECP256R1, "es384": ec.SECP384R1, "es512": ec.SECP521R1}[algorithm]())


KEYS = {algorithm: fresh_key(algorithm) for algorithm in ("es256", "es384", "es512", "ps256", "ed25519")}
_HASHES: dict[int, hashes.HashAlgorithm] = {32: hashes.SHA256(), 48: hashes.SHA384(), 64: hashes.SHA512()}
SOFTHSM = next(
    (
        path
        for path in (
            Path("/usr/lib/softhsm/libsofthsm2.so"),
            Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"),
            Path("/usr/lib64/pkcs11/libsofthsm2.so"),
            Path("/opt/homebrew/lib/softhsm/libsofthsm2.so"),
        )
        if path.exists()
    ),
    None,
)
needs_softhsm = pytest.mark.skipif(
    SOFTHSM is None or shutil.which("softhsm2-util") is None, reason="needs SoftHSM 2 (apt-get install softhsm2)"
)
PIN = "648219"


def as_cloud(key: SigningKey, message: bytes) -> bytes:
    """Sign a digest (Ed25519: the message) in the form that clouds return."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    hash_ = _HASHES[len(message)]
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, padding.PSS(padding.MGF1(hash_), hash_.digest_size), Prehashed(hash_))
    return key.sign(message, ec.ECDSA(Prehashed(hash_)))


_FILL = """
import sys
import pkcs11
from asn1crypto.core import PrintableString
from pkcs11 import Attribute, KeyType, Mechanism
from pkcs11.util.ec import encode_named_curve_parameters
library, pin, *wanted = sys.argv[1:]
for entry in wanted:
    label, name, algorithm = entry.split("/")
    with pkcs11.lib(library).get_token(token_label=label).open(rw=True, user_pin=pin) as session:
        if algorithm == "ps256":
            session.generate_keypair(KeyType.RSA, 2048, label=name, store=True)
            continue
        kind, mechanism, parameters = KeyType.EC, Mechanism.EC_KEY_PAIR_GEN, None
        if algorithm == "ed25519":
            kind, mechanism = KeyType.EC_EDWARDS, Mechanism.EC_EDWARDS_KEY_PAIR_GEN
            parameters = PrintableString("edwards25519").dump()
        else:
            curve = {"es256": "secp256r1", "es384": "secp384r1", "es512": "secp521r1"}[algorithm]
            parameters = encode_named_curve_parameters(curve)
        domain = session.create_domain_parameters(kind, {Attribute.EC_PARAMS: parameters}, local=True)
        domain.generate_keypair(mechanism=mechanism, label=name, store=True)
"""


@dataclass(frozen=True)
class Token:
    """One SoftHSM token; its PIN stands in a file."""

    label: str
    pin_file: Path

    def reference(self, name: str) -> str:
        return f"pkcs11:token={self.label};object={name}?module-path={SOFTHSM}&pin-source=file:{self.pin_file}"


def make_tokens(folder: Path, wanted: Sequence[str]) -> dict[str, Token]:
    """Make tokens and keys, given as TOKEN/KEY/ALGORITHM, in a process of its own.

    A library lists its slots and objects when it is loaded, so all of them are made before this process loads it.
    """
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    tokens = {}
    for label in dict.fromkeys(entry.split("/")[0] for entry in wanted):
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "1" * 8, "--pin", PIN]
        subprocess.run(command, check=True, capture_output=True)
        pin = folder / f"{label}.pin"
        pin.touch(0o600)
        pin.write_text(PIN + "\n")
        tokens[label] = Token(label, pin)
    subprocess.run([sys.executable, "-c", _FILL, str(SOFTHSM), PIN, *wanted], check=True)
    return tokens
