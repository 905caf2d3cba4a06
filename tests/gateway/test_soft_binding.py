"""The Soft Binding Resolution API as another tool sees it: shapes of the specification, keys, manifests that verify."""

import base64
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from gateway.auth.api_keys import Scope, add_api_key
from guard import Signet
from guard.iscc import image_code, sequence
from guard.media import decode
from guard.provenance.dev_ca import init_development_keys
from guard.settings import load_settings
from guard.signing.request import SignedFile
from guard.watermark.codec import ALGORITHM
from service import create_app
from tests.guard.signing.bench import photo

API = "/softbinding/v1"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resolution")
    init_development_keys(folder / "keys", now=datetime.now(UTC))
    return folder


@pytest.fixture(scope="module")
def signed(home: Path) -> SignedFile:
    with Signet(home=home) as signet:
        first = signet.sign(photo("coffee"), model="m")
        return signet.sign(photo("rocket"), kind="edited", parent=first.data, model="m")


@pytest.fixture(scope="module")
def client(home: Path, signed: SignedFile):
    settings = load_settings(home=home, api_keys_file=home / "keys.txt", public_resolution=True)
    add_api_key(home / "keys.txt", name="other", tenant="local", scopes=frozenset({Scope.READ}))
    with TestClient(create_app(settings)) as opened:
        yield opened


def binding(client: TestClient, alg: str, value: bytes, **query: Any) -> list[dict[str, Any]]:
    text = base64.b64encode(value).decode()
    got = client.get(f"{API}/matches/byBinding", params={"alg": alg, "value": text, **query})
    posted = client.post(f"{API}/matches/byBinding", json={"alg": alg, "value": text}, params=query)
    assert (got.status_code, got.json()) == (200, posted.json())
    matches: list[dict[str, Any]] = got.json()["matches"]
    return matches


def test_a_mark_leads_to_its_manifest(client: TestClient, signed: SignedFile) -> None:
    expected = [{"manifestId": signed.manifest_label, "similarityScore": 100}]
    assert binding(client, ALGORITHM, signed.image_id.encode()) == expected
    plain = client.get(f"{API}/matches/byBinding", params={"alg": ALGORITHM, "value": signed.image_id})
    assert plain.json() == {"matches": expected}
    assert binding(client, ALGORITHM, b"0" * 16) == []


def test_a_fingerprint_leads_to_its_manifest_with_a_score(client: TestClient, signed: SignedFile) -> None:
    code = image_code(decode(signed.data).rgb)
    assert binding(client, "io.iscc.v0", sequence(code))[0] == {
        "manifestId": signed.manifest_label,
        "similarityScore": 100,
    }
    near = bytes([code[0] ^ 0b111]) + code[1:]
    assert binding(client, "io.iscc.v0", sequence(near), maxResults=1)[0]["similarityScore"] == 99
    far = bytes(byte ^ 0xAA for byte in code)
    assert binding(client, "io.iscc.v0", sequence(far)) == []


def test_a_copy_leads_to_its_manifest_and_another_picture_to_none(client: TestClient, signed: SignedFile) -> None:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(signed.data)).convert("RGB").resize((224, 224)).save(buffer, "JPEG", quality=75)
    answer = client.post(f"{API}/matches/byContent", content=buffer.getvalue(), headers={"content-type": "image/jpeg"})
    assert answer.json() == {"matches": [{"manifestId": signed.manifest_label}]}
    other = io.BytesIO()
    Image.fromarray(photo("chelsea")).save(other, "PNG")
    assert client.post(f"{API}/matches/byContent", content=other.getvalue()).json() == {"matches": []}


def test_a_transplanted_mark_resolves_to_nothing_by_content(client: TestClient, home: Path) -> None:
    with Signet(home=home) as signet:
        marked = decode(signet.sign(photo("astronaut"), model="m").data).rgb
    forged = np.clip(photo("chelsea").astype(int) + marked - photo("astronaut"), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(forged).save(buffer, "PNG")
    assert client.post(f"{API}/matches/byContent", content=buffer.getvalue()).json() == {"matches": []}


def test_the_manifest_store_is_served_whole_or_alone(client: TestClient, signed: SignedFile) -> None:
    whole = client.get(f"{API}/manifests/{signed.manifest_label}")
    assert (whole.status_code, whole.headers["content-type"]) == (200, "application/c2pa")
    assert signed.manifest_label.encode() in whole.content
    alone = client.get(f"{API}/manifests/{signed.manifest_label}", params={"returnActiveManifest": "true"})
    assert alone.content.count(b"c2pa.signature\0") < whole.content.count(b"c2pa.signature\0")
    assert client.get(f"{API}/manifests/urn:c2pa:none").status_code == 404


def test_services_and_discovery_agree(client: TestClient) -> None:
    assert client.get(f"{API}/services/supportedAlgorithms").json() == {
        "watermarks": [{"alg": ALGORITHM}],
        "fingerprints": [{"alg": "io.iscc.v0"}],
    }
    said = client.get("/.well-known/c2pa-soft-binding-resolution").json()
    assert said["apiEndpoint"].endswith(API)
    able = client.get(said["capabilitiesEndpoint"]).json()
    assert able == {"c2paSpecificationVersion": "2.4.0", "supportedCapabilities": ["queryByContent"]}
    assert client.get(said["statusEndpoint"]).json()["status"] == "ok"


def test_our_detectors_describe_themselves(client: TestClient) -> None:
    said = client.get("/.well-known/signet-detectors").json()
    assert {"watermark.gateway_mark", "metadata.credentials"} <= {row["id"] for row in said["detectors"]}
    assert set(said["softBindings"]) == {ALGORITHM, "io.iscc.v0"}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"alg": "com.example.other", "value": "AAAA"}, 400),
        ({"alg": ALGORITHM, "value": "not*base64"}, 400),
        ({"alg": ALGORITHM, "value": "AAAA"}, 400),
        ({"alg": "io.iscc.v0", "value": base64.b64encode(bytes.fromhex("3007") + bytes(32)).decode()}, 400),
        ({"alg": "io.iscc.v0", "value": "AAAA"}, 400),
        ({"alg": "io.iscc.v0", "value": "A" * 5000}, 414),
        ({"alg": "io.iscc.v0"}, 422),
        ({"alg": "io.iscc.v0", "value": "AAAA", "maxResults": "0"}, 422),
    ],
)
def test_wrong_queries_are_refused_with_a_reason(client: TestClient, query: dict[str, str], status: int) -> None:
    answer = client.get(f"{API}/matches/byBinding", params=query)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_a_body_that_is_no_picture_is_refused(client: TestClient) -> None:
    assert client.post(f"{API}/matches/byContent", content=b"text").status_code == 422


def test_queries_need_a_key_unless_the_operator_opened_them(home: Path, signed: SignedFile) -> None:
    keys = home / "closed.txt"
    detect = add_api_key(keys, name="d", tenant="local", scopes=frozenset({Scope.DETECT}))
    reader = add_api_key(keys, name="r", tenant="local", scopes=frozenset({Scope.READ}))
    path = f"{API}/manifests/{signed.manifest_label}"
    with TestClient(create_app(load_settings(home=home, api_keys_file=keys))) as closed:
        assert closed.get(path).status_code == 401
        assert closed.post(f"{API}/matches/byContent", content=b"x").status_code == 401
        assert closed.get(path, headers={"authorization": f"Bearer {reader}"}).status_code == 403
        assert closed.get(path, headers={"authorization": f"Bearer {detect}"}).status_code == 200
        assert closed.get(f"{API}/services/status").status_code == 200
