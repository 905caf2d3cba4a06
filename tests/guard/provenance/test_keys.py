"""Key folders, chains and key sources: what is made, what is refused and why."""

import json
import os
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from guard.credentials import CredentialState
from guard.errors import KeyMaterialError, SigningError
from guard.provenance.certificates import signing_chain
from guard.provenance.dev_ca import init_development_keys
from guard.provenance.issuing import DEVELOPMENT_ORGANISATION
from guard.provenance.key_source import CallbackKeySource, PEMKeySource, load_private_key
from guard.provenance.keys_folder import (
    DESCRIPTION,
    LEDGER_PRIVATE,
    SIGNER_CHAIN,
    SIGNER_KEY,
    WATERMARK_MASTER,
    KeyFolder,
    list_keys,
)
from guard.provenance.read import C2PACredentialReader
from guard.provenance.sign import C2PACredentialSigner
from guard.provenance.trust import CLAIM_SIGNING_EKU, TrustAnchors, load_anchors
from guard.records import ImageFormat
from tests.guard.provenance.support import GENERATOR, Identity, encoded, facts

NOW = datetime.now(UTC)
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    init_development_keys(tmp_path / "keys", now=NOW)
    return tmp_path / "keys"


# --- the development folder ------------------------------------------------------------------------------------------


@posix
def test_only_the_owner_can_read_secrets(folder: Path) -> None:
    secrets = {SIGNER_KEY, LEDGER_PRIVATE, WATERMARK_MASTER, "ca/intermediate.key.pem"}
    for path in folder.rglob("*"):
        mode, name = stat.S_IMODE(path.stat().st_mode), path.relative_to(folder).as_posix()
        assert mode & 0o077 == 0 or (path.is_file() and name not in secrets), name
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all((folder / name).exists() for name in secrets)


def test_the_root_key_is_thrown_away(folder: Path) -> None:
    root = x509.load_pem_x509_certificate((folder / "trust/manifest.pem").read_bytes())
    kept = [
        load_private_key(path, development=True) for path in folder.rglob("*.pem") if b"PRIVATE" in path.read_bytes()
    ]
    publics = [key.public_key() for key in kept]  # type: ignore[attr-defined]
    assert len(publics) == 3
    assert root.public_key() not in publics


def test_certificates_say_what_they_are_and_follow_the_profile(folder: Path) -> None:
    leaf, intermediate = x509.load_pem_x509_certificates((folder / SIGNER_CHAIN).read_bytes())
    root = x509.load_pem_x509_certificate((folder / "trust/manifest.pem").read_bytes())
    for certificate in (leaf, intermediate, root):
        assert DEVELOPMENT_ORGANISATION in certificate.subject.rfc4514_string()
        assert "not for production" in certificate.subject.rfc4514_string()
    leaf.verify_directly_issued_by(intermediate)
    intermediate.verify_directly_issued_by(root)
    purposes = {p.dotted_string for p in leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value}
    assert purposes == {ExtendedKeyUsageOID.EMAIL_PROTECTION.dotted_string, CLAIM_SIGNING_EKU}
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=366), "assurance level 1"


def test_two_folders_share_nothing(tmp_path: Path) -> None:
    for name in "ab":
        init_development_keys(tmp_path / name, now=NOW)
    first, second = (KeyFolder.load(tmp_path / name, now=NOW) for name in "ab")
    assert first.watermark_master_key != second.watermark_master_key
    assert first.ledger_private_key != second.ledger_private_key
    assert first.signer.private_key_pem() != second.signer.private_key_pem()


def test_keys_are_never_overwritten(folder: Path) -> None:
    before = (folder / WATERMARK_MASTER).read_bytes()
    with pytest.raises(KeyMaterialError, match="never overwritten"):
        init_development_keys(folder, now=NOW)
    assert (folder / WATERMARK_MASTER).read_bytes() == before


def test_an_empty_folder_is_filled_and_parents_are_made(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert init_development_keys(tmp_path / "empty", now=NOW).files
    assert init_development_keys(tmp_path / "a/b/keys", now=NOW).files
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "empty"], "no partial folder is left"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(KeyMaterialError, match="cannot be written"):
        init_development_keys(tmp_path / "file" / "keys", now=NOW)


def test_summary_lists_files_and_keys_without_secrets(tmp_path: Path) -> None:
    summary = init_development_keys(tmp_path / "keys", now=NOW)
    assert set(summary.files) == {
        p.relative_to(summary.folder).as_posix() for p in summary.folder.rglob("*") if p.is_file()
    }
    text = repr(summary)
    assert (summary.folder / WATERMARK_MASTER).read_text().strip() not in text
    assert "PRIVATE" not in text


# --- loading ---------------------------------------------------------------------------------------------------------


def test_a_folder_loads_completely(folder: Path) -> None:
    keys = KeyFolder.load(folder, now=NOW)
    assert keys.development is True
    assert keys.signer.algorithm == "es256"
    assert len(keys.watermark_master_key) == len(keys.ledger_private_key) == len(keys.ledger_public_key) == 32
    private = ed25519.Ed25519PrivateKey.from_private_bytes(keys.ledger_private_key)
    assert private.public_key().public_bytes_raw() == keys.ledger_public_key
    assert keys.watermark_master_key.hex() not in repr(keys)


@posix
@pytest.mark.parametrize("name", [SIGNER_KEY, LEDGER_PRIVATE, WATERMARK_MASTER])
def test_an_open_secret_is_refused(folder: Path, name: str) -> None:
    (folder / name).chmod(0o640)
    with pytest.raises(KeyMaterialError, match="mode 0640") as caught:
        KeyFolder.load(folder, now=NOW)
    assert "chmod 600" in caught.value.diagnostics()


@pytest.mark.parametrize(
    "name", [SIGNER_KEY, SIGNER_CHAIN, LEDGER_PRIVATE, WATERMARK_MASTER, DESCRIPTION, "trust/manifest.pem"]
)
@pytest.mark.parametrize("damage", ["missing", "empty", "garbage"])
def test_damage_is_told_with_the_file(folder: Path, name: str, damage: str) -> None:
    if damage == "missing":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(b"" if damage == "empty" else b"\x00garbage\xff")
    with pytest.raises(KeyMaterialError):
        KeyFolder.load(folder, now=NOW)


def test_a_production_folder_wants_encrypted_keys(folder: Path) -> None:
    described = json.loads((folder / DESCRIPTION).read_text())
    (folder / DESCRIPTION).write_text(json.dumps(described | {"environment": "production"}))
    with pytest.raises(KeyMaterialError, match="unencrypted"):
        KeyFolder.load(folder, now=NOW)
    for name in (SIGNER_KEY, LEDGER_PRIVATE):
        encrypt(folder / name, b"correct horse")
    with pytest.raises(KeyMaterialError, match="no passphrase"):
        KeyFolder.load(folder, now=NOW)
    with pytest.raises(KeyMaterialError, match="wrong passphrase"):
        KeyFolder.load(folder, now=NOW, passphrase=lambda: b"wrong")
    assert KeyFolder.load(folder, now=NOW, passphrase=lambda: b"correct horse").development is False


def encrypt(path: Path, passphrase: bytes) -> None:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase),
        )
    )


@pytest.mark.parametrize("change", [{"version": 2}, {"environment": "staging"}, {"environment": None}])
def test_an_unknown_description_is_refused(folder: Path, change: dict[str, object]) -> None:
    described = json.loads((folder / DESCRIPTION).read_text())
    (folder / DESCRIPTION).write_text(json.dumps(described | change))
    with pytest.raises(KeyMaterialError, match="expected version 1"):
        KeyFolder.load(folder, now=NOW)


def test_list_shows_expiry(folder: Path) -> None:
    listed = {info.role: info for info in list_keys(folder, now=NOW + timedelta(days=400))}
    assert set(listed) == {"claim signer", "intermediate", "anchor for claim signers", "ledger", "watermark"}
    signer = listed["claim signer"]
    assert (signer.algorithm, signer.days_left) == ("es256", -36)  # 35 days and some minutes ago
    assert len(signer.fingerprint) == 64
    assert listed["ledger"].days_left is None


# --- chains and key sources ------------------------------------------------------------------------------------------


def pem_of(*certificates: x509.Certificate) -> str:
    return "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in certificates)


def leaf_for(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, **options: object) -> str:
    """A self-issued leaf, good in every point that ``options`` does not spoil."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "leaf")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=bool(options.get("cert_sign")),
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(
            x509.ExtendedKeyUsage([options.get("purpose", ExtendedKeyUsageOID.EMAIL_PROTECTION)]),  # type: ignore[list-item]
            critical=False,
        )
    )
    if not options.get("without_aki"):
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return pem_of(builder.sign(key, digest))


KEYS = {
    "es256": ec.generate_private_key(ec.SECP256R1()),
    "es384": ec.generate_private_key(ec.SECP384R1()),
    "es512": ec.generate_private_key(ec.SECP521R1()),
    "ps256": rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
}
LENGTHS = {"es256": 64, "es384": 96, "es512": 132, "ps256": 256, "ed25519": 64}


@pytest.mark.parametrize("algorithm", KEYS)
def test_every_algorithm_gives_raw_signatures_that_verify(algorithm: str) -> None:
    source = PEMKeySource(key=KEYS[algorithm], chain=signing_chain(leaf_for(KEYS[algorithm]), now=NOW))
    signature = source.sign(b"data")
    assert source.algorithm == algorithm
    assert len(signature) == LENGTHS[algorithm]


@pytest.mark.parametrize("algorithm", KEYS)
@pytest.mark.parametrize("by_callback", [False, True], ids=["native", "callback"])
def test_every_algorithm_signs_pictures(algorithm: str, by_callback: bool) -> None:
    pem = leaf_for(KEYS[algorithm])
    source = PEMKeySource(key=KEYS[algorithm], chain=signing_chain(pem, now=NOW))
    keys = CallbackKeySource(certificate_chain_pem=pem, sign=source.sign, now=NOW) if by_callback else source
    signed = C2PACredentialSigner(keys, claim_generator=GENERATOR).sign_bytes(
        facts(), encoded(ImageFormat.JPEG), "image/jpeg"
    )
    report = C2PACredentialReader(TrustAnchors(), pool=None).read(signed.data)
    assert report.state is CredentialState.VALID_UNTRUSTED
    assert report.manifest_label == signed.manifest_label


def test_the_wrong_key_is_told_at_load() -> None:
    chain = signing_chain(leaf_for(KEYS["es256"]), now=NOW)
    with pytest.raises(KeyMaterialError, match="does not verify with the certificate"):
        PEMKeySource(key=ec.generate_private_key(ec.SECP256R1()), chain=chain)
    with pytest.raises(KeyMaterialError, match="key is for es384, the certificate for es256"):
        PEMKeySource(key=KEYS["es384"], chain=chain)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"purpose": ExtendedKeyUsageOID.SERVER_AUTH}, "extended key usage"),
        ({"purpose": ExtendedKeyUsageOID.TIME_STAMPING}, "extended key usage"),
        ({"cert_sign": True}, "keyCertSign"),
        ({"without_aki": True}, "authority key identifier"),
    ],
)
def test_unusable_leaves_are_told_at_load(options: dict[str, object], message: str) -> None:
    with pytest.raises(KeyMaterialError, match=message):
        signing_chain(leaf_for(KEYS["es256"], **options), now=NOW)


@pytest.mark.parametrize("days", [-3, 3])
def test_a_leaf_outside_its_validity_is_told_at_load(days: int) -> None:
    with pytest.raises(KeyMaterialError, match="is valid from"):
        signing_chain(leaf_for(KEYS["es256"]), now=NOW + timedelta(days=days))


def test_a_reversed_chain_is_told(folder: Path) -> None:
    leaf, intermediate = x509.load_pem_x509_certificates((folder / SIGNER_CHAIN).read_bytes())
    root = x509.load_pem_x509_certificate((folder / "trust/manifest.pem").read_bytes())
    with pytest.raises(KeyMaterialError, match="out of order"):
        signing_chain(pem_of(leaf, root, intermediate), now=NOW)


def test_weak_and_unknown_keys_are_refused() -> None:
    with pytest.raises(KeyMaterialError, match="2048 bits"):
        signing_chain(leaf_for(rsa.generate_private_key(65537, 1024)), now=NOW)  # noqa: S505 - must be refused
    with pytest.raises(KeyMaterialError, match="P-256"):
        signing_chain(leaf_for(ec.generate_private_key(ec.SECP256K1())), now=NOW)


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        (b"", "0 bytes"),
        (bytes(63), "63 bytes"),
        (bytes(20_000), "20000 bytes"),
        (KEYS["es256"].sign(b"x", ec.ECDSA(hashes.SHA256())), "a DER signature"),
        (bytes(64), "does not verify"),
    ],
    ids=["empty", "short", "longer than the reserve", "DER", "wrong"],
)
def test_a_bad_signature_of_a_remote_key_is_told(signature: bytes, message: str) -> None:
    keys = CallbackKeySource(certificate_chain_pem=leaf_for(KEYS["es256"]), sign=lambda _: signature, now=NOW)
    signer = C2PACredentialSigner(keys, claim_generator=GENERATOR)
    with pytest.raises(SigningError, match=message):
        signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png")


def test_a_failing_remote_key_is_told_and_recovers() -> None:
    source = PEMKeySource(key=KEYS["es256"], chain=signing_chain(leaf_for(KEYS["es256"]), now=NOW))
    calls = iter([ConnectionError("token unplugged"), None])

    def sign(data: bytes) -> bytes:
        error = next(calls)
        if error is not None:
            raise error
        return source.sign(data)

    keys = CallbackKeySource(certificate_chain_pem=source.certificate_chain_pem, sign=sign, now=NOW)
    signer = C2PACredentialSigner(keys, claim_generator=GENERATOR)
    with pytest.raises(SigningError, match="ConnectionError"):
        signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png")
    assert signer.sign_bytes(facts(), encoded(ImageFormat.PNG), "image/png").manifest


# --- anchors ---------------------------------------------------------------------------------------------------------


def test_anchors_are_checked_and_joined(ours: Identity, foreign: Identity, tmp_path: Path) -> None:
    both = ours.keys.anchors.plus(foreign.keys.anchors).plus(ours.keys.anchors)
    assert both.manifest_pem.count("BEGIN CERTIFICATE") == 2
    with pytest.raises(KeyMaterialError, match="manifest_pem"):
        TrustAnchors(manifest_pem="no certificates")
    with pytest.raises(KeyMaterialError, match="cannot be read"):
        load_anchors(manifest_files=(tmp_path / "missing.pem",))
    (tmp_path / "huge.pem").write_bytes(bytes(5 * 1024**2))
    with pytest.raises(KeyMaterialError, match="more than"):
        load_anchors(manifest_files=(tmp_path / "huge.pem",))


def test_a_secret_file_is_read_by_descriptor_not_by_name(folder: Path) -> None:
    """Mode and content come from one open file: swapping the name in between cannot help."""
    if not hasattr(os, "symlink"):
        pytest.skip("needs symlinks")
    link = folder / "link.pem"
    link.symlink_to(folder / SIGNER_KEY)
    assert load_private_key(link, development=True) is not None
    (folder / SIGNER_KEY).chmod(0o644)
    with pytest.raises(KeyMaterialError, match="mode 0644"):
        load_private_key(link, development=True)
