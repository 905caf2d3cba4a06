"""Signed tree heads: the published note format, and that nothing but the genuine signature opens one."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from guard.errors import KeyMaterialError, LedgerProofError
from guard.ledger.checkpoint import (
    MAX_NOTE_BYTES,
    HeadSigner,
    HeadVerifier,
    TreeHead,
    load_public_key,
    load_signing_key,
    note_text,
    open_note,
    parse_note,
    parse_verifier_key,
)
from tests.guard.ledger.samples import ORIGIN, OTHER_SEED, SEED

ROOT = bytes(range(32))

VECTOR_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
"""The verifier key of the signed-note documentation (golang.org/x/mod/sumdb/note)."""
VECTOR_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n",
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=",
)


@pytest.fixture
def signer() -> HeadSigner:
    return HeadSigner(SEED, origin=ORIGIN)


def note(signer: HeadSigner, size: int = 5) -> str:
    head = TreeHead(origin=ORIGIN, size=size, root=ROOT)
    return note_text(head, signer.sign(size, ROOT), signer.verifier)


def test_the_note_has_the_published_form(signer: HeadSigner) -> None:
    lines = note(signer).split("\n")
    assert lines[:4] == [ORIGIN, "5", base64.b64encode(ROOT).decode(), ""]
    assert lines[4].startswith(f"\u2014 {ORIGIN} ")
    assert lines[5:] == [""]
    raw = base64.b64decode(lines[4].split(" ")[2])
    assert raw[:4] == signer.verifier.key_id
    assert len(raw) == 4 + 64


def test_key_id_and_signature_of_the_published_vector() -> None:
    """Source: golang.org/x/mod/sumdb/note, package documentation; its text is no tree head, so only parts apply."""
    verifier = parse_verifier_key(VECTOR_KEY)
    assert (verifier.origin, verifier.key_id.hex()) == ("PeterNeumann", "c74f20a3")
    text, encoded = VECTOR_NOTE
    raw = base64.b64decode(encoded)
    assert raw[:4] == verifier.key_id
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    Ed25519PublicKey.from_public_bytes(verifier.public_key).verify(raw[4:], text.encode())


def test_a_genuine_note_opens(signer: HeadSigner) -> None:
    expected = TreeHead(origin=ORIGIN, size=5, root=ROOT)
    assert signer.verifier.open_note(note(signer)) == expected
    assert parse_note(note(signer))[0] == expected
    other = HeadSigner(OTHER_SEED, origin=ORIGIN).verifier
    assert open_note(note(signer), [other, signer.verifier]) == expected


def test_other_signatures_on_a_note_are_ignored(signer: HeadSigner) -> None:
    witness = base64.b64encode(b"\x01\x02\x03\x04" + bytes(64)).decode()
    assert signer.verifier.open_note(note(signer) + f"\u2014 witness.example {witness}\n").size == 5


def test_a_note_by_another_key_does_not_open(signer: HeadSigner) -> None:
    other = HeadSigner(OTHER_SEED, origin=ORIGIN)
    with pytest.raises(LedgerProofError, match="no signature"):
        other.verifier.open_note(note(signer))
    with pytest.raises(LedgerProofError, match="none of the given keys"):
        open_note(note(signer), [other.verifier])
    with pytest.raises(LedgerProofError, match="none of the given keys"):
        open_note(note(signer), [])


def test_every_changed_byte_is_refused(signer: HeadSigner) -> None:
    genuine = note(signer)
    for place, character in enumerate(genuine):
        changed = genuine[:place] + ("x" if character != "x" else "y") + genuine[place + 1 :]
        with pytest.raises(LedgerProofError):
            signer.verifier.open_note(changed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n\n",
        "a\n1\n",
        "a\n01\nAA==\n\n\u2014 a AA==\n",
        f"a\n-1\n{base64.b64encode(ROOT).decode()}\n\n\u2014 a AA==\n",
        f"a\n1\n{base64.b64encode(ROOT).decode()}\nextension\n\n\u2014 a AA==\n",
        f"a\n1\n{base64.b64encode(ROOT).decode()}\n\n- a AA==\n",
        f"a\n1\n{base64.b64encode(ROOT).decode()}\n\n\u2014 a AA==",
        f"a b\n1\n{base64.b64encode(ROOT).decode()}\n\n\u2014 a AA==\n",
        "a\n1\n" + "A" * MAX_NOTE_BYTES + "\n\n\u2014 a AA==\n",
    ],
)
def test_malformed_notes_are_refused(text: str) -> None:
    with pytest.raises(LedgerProofError):
        parse_note(text)


def test_a_verifier_key_round_trips(signer: HeadSigner) -> None:
    text = signer.verifier.verifier_key()
    assert text.startswith(f"{ORIGIN}+{signer.verifier.key_id.hex()}+AQ")
    assert parse_verifier_key(text) == signer.verifier


@pytest.mark.parametrize("text", ["", "a+b", "a+00000000+!", VECTOR_KEY.replace("c74f", "c74e"), VECTOR_KEY[:-4]])
def test_malformed_verifier_keys_are_refused(text: str) -> None:
    with pytest.raises(LedgerProofError):
        parse_verifier_key(text)


def test_the_head_of_another_ledger_is_refused(signer: HeadSigner) -> None:
    head = TreeHead(origin="example.org/other", size=5, root=ROOT)
    with pytest.raises(LedgerProofError, match="expected 'example"):
        signer.verifier.check(head, signer.sign(5, ROOT))


def test_keys_come_as_object_raw_bytes_or_pem() -> None:
    key = Ed25519PrivateKey.from_private_bytes(SEED)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public_pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    raw = key.public_key().public_bytes_raw()
    assert {load_signing_key(form).private_bytes_raw() for form in (key, SEED, pem)} == {SEED}
    assert {load_public_key(form) for form in (key.public_key(), raw, public_pem)} == {raw}
    assert HeadVerifier(ORIGIN, raw) == HeadSigner(pem, origin=ORIGIN).verifier


def test_other_keys_and_origins_are_refused() -> None:
    other = generate_private_key(SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public_pem = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for private in (pem, b"", b"short", b"x" * 33):
        with pytest.raises(KeyMaterialError):
            load_signing_key(private)
    for public in (public_pem, b"", b"x" * 33):
        with pytest.raises(KeyMaterialError):
            load_public_key(public)
    for origin in ("", "with space", "with+plus", "line\nfeed", "x" * 201):
        with pytest.raises(KeyMaterialError, match="origin"):
            HeadSigner(SEED, origin=origin)
