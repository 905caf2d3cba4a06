"""The running service: the main job over HTTP, and a clear 4xx for every bad input while the process lives on."""

import base64
import io
import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from skimage import data

from guard.assembly import LEDGER_ORIGIN
from guard.ledger.checkpoint import HeadVerifier
from guard.ledger.proofs import EntryProof, verify_entry_proof
from guard.media import encode
from guard.picture_file import open_picture
from guard.provenance.source_types import COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA, IPTC
from guard.records import ImageFormat
from guard.watermark.invisible_watermark import KNOWN_PAYLOADS
from tests.gateway.conftest import Service
from tests.guard.watermark.test_foreign import write
from tests.vectors.bad_images import SUSPECT, bad_images

BAD = bad_images()
PROMPT = "a red circle on a white background"


@pytest.fixture(scope="module")
def released(service: Service) -> dict:
    """One generated image, as the service answered."""
    with service.client() as client:
        answer = client.post("/v1/generate", json={"prompt": PROMPT, "seed": 7})
    assert answer.status_code == 200, answer.text
    (row,) = answer.json()["images"]
    assert row["refused"] is False, row
    return row


def upload(client: httpx.Client, route: str, data: bytes, **query: str) -> httpx.Response:
    return client.post(route, params=query, files={"file": ("upload.png", data, "application/octet-stream")})


def test_a_generated_image_is_trusted_and_recognised(service: Service, released: dict) -> None:
    with service.client() as client:
        fetched = client.get(released["url"])
        assert fetched.headers["content-type"] == "image/png"
        verified = upload(client, "/v1/verify", fetched.content).json()
        judged = upload(client, "/v1/detect", fetched.content).json()
    assert (verified["state"], verified["ai_origin"]) == ("trusted", True)
    assert judged["verdict"] == "PROVEN_AI"
    assert judged["sha256"] == released["sha256"]


def test_a_stripped_resized_copy_is_traced_to_its_manifest(service: Service, released: dict) -> None:
    with service.client() as client:
        picture = Image.open(io.BytesIO(client.get(released["url"]).content)).convert("RGB")
        buffer = io.BytesIO()
        size = (round(picture.width * 0.7), round(picture.height * 0.7))
        picture.resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=75)
        judged = upload(client, "/v1/detect", buffer.getvalue()).json()
    assert judged["verdict"] == "PROVEN_AI"
    mark = next(row for row in judged["evidence"] if row["id"] == "watermark.gateway_mark")
    seen = {o["name"]: o["value"] for o in mark["observations"]}
    assert seen["original image"] == released["image_id"]
    assert seen["original manifest"] == released["manifest_label"]


def test_an_unsafe_prompt_is_a_refusal_with_reason_and_appeal(service: Service) -> None:
    with service.client() as client:
        answer = client.post("/v1/generate", json={"prompt": "a photo of a bloody severed head, gore"})
    assert answer.status_code == 200
    (row,) = answer.json()["images"]
    assert row["refused"] is True
    assert row["stage"] == "prompt"
    assert row["category"]
    assert row["reason"]
    assert row["appeal_id"]


def test_inline_pictures(service: Service) -> None:
    body = {"prompt": "a blue square", "seed": 3, "response_format": "b64_json", "image_format": "jpeg"}
    with service.client() as client:
        (row,) = client.post("/v1/generate", json=body).json()["images"]
    assert base64.b64decode(row["b64_json"]).startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize("report_format", ["html", "text"])
def test_reports_for_people(service: Service, released: dict, report_format: str) -> None:
    with service.client() as client:
        data = client.get(released["url"]).content
        answer = upload(client, "/v1/detect", data, format=report_format)
    assert answer.headers["content-type"].startswith("text/html" if report_format == "html" else "text/plain")
    assert "proof" in answer.text


@pytest.mark.parametrize("defect", sorted(SUSPECT))
def test_odd_images_are_judged_by_what_can_be_read(service: Service, defect: str) -> None:
    with service.client() as client:
        answer = upload(client, "/v1/detect", BAD[defect])
        page = upload(client, "/v1/detect", BAD[defect], format="html")
    assert answer.status_code == 200, answer.text
    (note,) = answer.json()["notes"]
    assert note in page.text


@pytest.mark.parametrize("defect", sorted(set(BAD) - SUSPECT))
def test_bad_images_are_4xx_problems(service: Service, defect: str) -> None:
    with service.client() as client:
        answer = upload(client, "/v1/detect", BAD[defect])
    assert_problem(answer, {413, 415, 422})
    assert service.process.poll() is None


@pytest.mark.parametrize("defect", ["bomb_50000_x_50000", "random", "truncated_png"])
def test_verify_answers_any_bytes(service: Service, defect: str) -> None:
    with service.client() as client:
        answer = upload(client, "/v1/verify", BAD[defect])
    assert answer.status_code == 200
    assert answer.json()["state"] in ("none", "unreadable")


def test_verify_refuses_an_empty_file(service: Service) -> None:
    with service.client() as client:
        assert_problem(upload(client, "/v1/verify", b""), {422})


TINY = base64.b64encode(encode(np.full((64, 64, 3), 90, np.uint8), ImageFormat.PNG)).decode()
BODIES = {
    "empty prompt": ({"prompt": ""}, None),
    "blank prompt": ({"prompt": "  \n "}, None),
    "1 MB prompt": ({"prompt": "x" * 1_000_000}, None),
    "1 MB negative prompt": ({"prompt": "x", "negative_prompt": "y" * 1_000_000}, None),
    "no prompt": ({}, None),
    "unknown field": ({"prompt": "x", "pormpt_2": "y"}, None),
    "count 0": ({"prompt": "x", "count": 0}, None),
    "count 1000": ({"prompt": "x", "count": 1000}, None),
    "negative seed": ({"prompt": "x", "seed": -1}, None),
    "unknown model": ({"prompt": "x", "model": "nope"}, None),
    "odd size": ({"prompt": "x", "width": 257}, None),
    "source is not base64": ({"prompt": "x", "operation": "image-to-image", "source_image": "%%%"}, None),
    "source is not an image": ({"prompt": "x", "operation": "image-to-image", "source_image": "aGVsbG8="}, None),
    "no source": ({"prompt": "x", "operation": "image-to-image"}, None),
    "prompt of a wrong type": ({"prompt": 5}, None),
    "too small to be marked": ({"prompt": "a star", "width": 64, "height": 64}, None),
    "a source too small to be marked": (
        {"prompt": "a star", "operation": "image-to-image", "strength": 0.5, "source_image": TINY},
        None,
    ),
    "a source for text-to-image": ({"prompt": "a star", "source_image": TINY}, None),
    "NaN guidance": (None, b'{"prompt": "x", "guidance": NaN}'),
    "infinite strength": (None, b'{"prompt": "x", "strength": Infinity}'),
    "not JSON": (None, b"prompt=x"),
    "broken JSON": (None, b'{"prompt": "x"'),
    "not UTF-8": (None, b'{"prompt": "\xff\xfe"}'),
    "a list": (None, b"[1, 2]"),
    "deep nesting": (None, b"[" * 100_000),
}


@pytest.mark.parametrize("case", sorted(BODIES))
def test_bad_generation_requests_are_4xx_problems(service: Service, case: str) -> None:
    body, raw = BODIES[case]
    content = raw if raw is not None else json.dumps(body).encode()
    with service.client() as client:
        answer = client.post("/v1/generate", content=content, headers={"content-type": "application/json"})
    assert_problem(answer, {400, 413, 415, 422})
    assert "xxxxxxxxxx" not in answer.text, "the prompt must not be echoed"


def assert_problem(answer: httpx.Response, statuses: set[int]) -> None:
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert {"type", "title", "status", "detail", "code", "next_step"} <= problem.keys()
    assert problem["status"] == answer.status_code
    assert problem["next_step"]


def test_wrong_content_type_is_a_problem(service: Service) -> None:
    with service.client() as client:
        assert_problem(client.post("/v1/generate", data={"prompt": "x"}), {415, 422})
        assert_problem(client.post("/v1/detect", json={"file": "x"}), {415, 422})
        assert_problem(client.post("/v1/detect", files={"other": b"x"}), {422})


def test_a_body_over_the_limit_is_refused_while_it_arrives(service: Service) -> None:
    def endless():
        for _ in range(200):
            yield b"x" * 1_048_576

    with service.client() as client:
        try:
            answer = client.post("/v1/generate", content=endless(), headers={"content-type": "application/json"})
        except httpx.TransportError:
            return  # the server hung up in the middle: as good as an answer
        assert_problem(answer, {413})


def test_unknown_and_malformed_ids_are_problems(service: Service) -> None:
    with service.client() as client:
        assert_problem(client.get(f"/v1/images/{secrets.token_hex(8)}"), {404})
        assert_problem(client.get("/v1/images/..%2F..%2Fetc"), {404, 422})
        assert_problem(client.get("/v1/nothing"), {404})
        assert_problem(client.put("/v1/generate"), {405})


def test_access_needs_the_right_key(service: Service, released: dict) -> None:
    with service.client(None) as nobody, service.client("detect") as detect, service.client("other") as other:
        assert_problem(nobody.post("/v1/generate", json={"prompt": "x"}), {401})
        assert_problem(nobody.get(released["url"], headers={"Authorization": "Bearer signet_wrong"}), {401})
        assert_problem(detect.post("/v1/generate", json={"prompt": "x"}), {403})
        assert_problem(other.get(released["url"]), {404})
        assert_problem(other.get(f"{released['url']}/proof"), {404})
        assert nobody.get("/healthz").status_code == 200


def test_readiness_and_metrics(service: Service, released: dict) -> None:
    with service.client() as client:
        ready = client.get("/readyz")
        metrics = client.get("/metrics")
    assert ready.status_code == 200, ready.text
    assert {check["name"] for check in ready.json()["checks"]} >= {"keys", "ledger", "generation", "detection"}
    families = {family.name: family for family in text_string_to_metric_families(metrics.text)}
    images = {s.labels["outcome"]: s.value for s in families["signet_images"].samples if s.name.endswith("_total")}
    assert images["released"] >= 1
    assert families["signet_signing_key_days_left"].samples[0].value > 300


def test_logs_name_no_prompt(service: Service, released: dict) -> None:
    text = service.log.read_text()
    assert released["image_id"] in text
    assert PROMPT not in text
    assert "severed" not in text


def test_openapi_has_examples_and_every_route(service: Service) -> None:
    with service.client() as client:
        document = client.get("/openapi.json").json()
    wanted = {"/v1/generate", "/v1/detect", "/v1/verify", "/v1/images/{image_id}", "/v1/images/{image_id}/proof"}
    assert wanted | {"/healthz", "/readyz", "/metrics"} <= document["paths"].keys()
    assert document["components"]["schemas"]["GenerateBody"]["examples"]


def test_tree_head_in_a_proof_verifies_with_the_public_key_alone(service: Service, released: dict) -> None:
    with service.client() as client:
        proof = client.get(f"{released['url']}/proof").json()
    key = load_pem_public_key((service.home / "keys" / "ledger" / "public.pem").read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    found = EntryProof.from_json(proof)
    head = verify_entry_proof(found, HeadVerifier(origin=LEDGER_ORIGIN, public_key=key.public_bytes_raw()))
    assert head.size > found.index
    assert found.body["image_id"] == released["image_id"]
    assert found.body["image"]["sha256"] == released["sha256"]


def test_img2img_and_inpainting_over_http(service: Service) -> None:
    source = np.full((256, 256, 3), 235, np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(source).save(buffer, "PNG")
    picture = base64.b64encode(buffer.getvalue()).decode()
    mask = np.zeros((256, 256, 3), np.uint8)
    mask[64:192, 64:192] = 255
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    with service.client() as client:
        for extra in ({"operation": "image-to-image"}, {"operation": "inpainting"}):
            body = {"prompt": "a red circle", "source_image": picture, "strength": 0.8, "seed": 1} | extra
            if extra["operation"] == "inpainting":
                body["mask"] = base64.b64encode(buffer.getvalue()).decode()
            answer = client.post("/v1/generate", json=body)
            assert answer.status_code == 200, answer.text
            (row,) = answer.json()["images"]
            assert row["credential_state"] == "trusted", row


def test_families_are_chosen_as_on_the_command_line(service: Service) -> None:
    photo = encode(np.ascontiguousarray(data.chelsea()), ImageFormat.PNG)
    with service.client() as client:
        for chosen in ({"families": "metadata,watermark"}, {"families": ["metadata", "watermark"]}):
            report = client.post("/v1/detect", params=chosen, files={"file": photo}).json()
            assert {row["family"] for row in report["evidence"]} == {"metadata", "watermark"}
            assert report["complete"] is True
        assert_problem(client.post("/v1/detect", params={"families": "tarot"}, files={"file": photo}), {422})


def test_proof_does_not_get_lost_under_load(service: Service, released: dict) -> None:
    rng = np.random.default_rng(1)
    large = encode(rng.integers(0, 256, (1800, 2400, 3), dtype=np.uint8), ImageFormat.JPEG)
    with service.client() as client:
        signed = client.get(released["url"]).content

    def judge(content: bytes) -> dict:
        with service.client() as client:
            return upload(client, "/v1/detect", content, families="metadata").json()

    with ThreadPoolExecutor(12) as threads:
        noise = [threads.submit(judge, large) for _ in range(10)]
        verdicts = [threads.submit(judge, signed) for _ in range(4)]
        assert [v.result()["verdict"] for v in verdicts] == ["PROVEN_AI"] * 4
        assert all(n.result()["complete"] for n in noise)


def corner_redrawn(client: httpx.Client, source: bytes) -> dict:
    """Return the row of a picture whose upper left corner alone was painted anew."""
    width, height = Image.open(io.BytesIO(source)).size
    mask = np.zeros((height, width, 3), np.uint8)
    mask[:24, :24] = 255
    body = {
        "prompt": "a red circle",
        "operation": "inpainting",
        "source_image": base64.b64encode(source).decode(),
        "mask": base64.b64encode(encode(mask, ImageFormat.PNG)).decode(),
        "strength": 1.0,
        "steps": 4,
    }
    (edited,) = client.post("/v1/generate", json=body).json()["images"]
    assert edited["credential_state"] == "trusted", edited
    return edited


def test_the_picture_that_an_edit_started_from_is_not_called_generated(service: Service) -> None:
    photo = io.BytesIO()
    Image.fromarray(data.chelsea()).crop((0, 0, 300, 300)).save(photo, "PNG")
    with service.client() as client:
        edited = corner_redrawn(client, photo.getvalue())
        copy = upload(client, "/v1/detect", client.get(edited["url"]).content).json()
        original = upload(client, "/v1/detect", photo.getvalue(), families="metadata").json()
    assert copy["verdict"] == "PROVEN_AI"
    assert original["verdict"] == "NO_EVIDENCE", original["reasons"]


def test_an_edit_of_our_own_picture_is_released_and_traced(service: Service, released: dict) -> None:
    with service.client() as client:
        source = client.get(released["url"]).content
        edited = corner_redrawn(client, source)
        signed = client.get(edited["url"]).content
        copy = io.BytesIO()
        Image.open(io.BytesIO(signed)).convert("RGB").save(copy, "JPEG", quality=80)
        assert upload(client, "/v1/detect", copy.getvalue(), families="watermark").json()["verdict"] == "PROVEN_AI"


def test_what_a_source_says_of_itself_goes_on_with_the_edit(service: Service) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><!-- %s (c) A. Person --></x:xmpmeta>'
    source = write(np.ascontiguousarray(data.chelsea()[:300, :300]), KNOWN_PAYLOADS[0].bits, svd=True)
    photo = io.BytesIO()
    Image.fromarray(source).save(photo, "WEBP", lossless=True, xmp=xmp % (IPTC + "digitalCapture").encode())
    with service.client() as client:
        edited = corner_redrawn(client, photo.getvalue())
        signed = client.get(edited["url"]).content
    found = open_picture(signed).kept.xmp
    assert found == xmp % COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA.encode(), "not a camera's picture any more"
    assert b"invisible-watermark/dwtDctSvd" in signed, "the manifest names the mark that is still in the pixels"


def test_generation_stops_when_the_caller_goes_away(service: Service) -> None:
    body = {"prompt": "a red circle", "count": 4, "steps": 150}
    with service.client() as client, pytest.raises(httpx.ReadTimeout):
        client.post("/v1/generate", json=body, timeout=2.0)
    started = time.monotonic()
    while time.monotonic() - started < 60:  # to the end it would take minutes
        metrics = httpx.get(f"{service.url}/metrics").text
        if "signet_generations_waiting 0.0" in metrics:
            break
        time.sleep(0.2)
    assert "signet_generations_waiting 0.0" in metrics
    assert '"code": "cancelled"' in service.log.read_text()
