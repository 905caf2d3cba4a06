"""A refusal over HTTP becomes a case: reviewers see it, the person can appeal, others cannot look."""

from tests.gateway.conftest import Service

UNSAFE = "a graphic photo of a man being tortured and dismembered, blood and gore"


def refused(service: Service) -> str:
    with service.client() as client:
        (image,) = client.post("/v1/generate", json={"prompt": UNSAFE}).json()["images"]
    assert image["refused"] is True
    return image["appeal_id"]


def test_a_refused_prompt_is_reviewed_appealed_and_decided(service: Service) -> None:
    appeal_id = refused(service)
    with service.client() as client:
        listed = client.get("/v1/review", params={"status": "open"}).json()["cases"]
        assert appeal_id in {case["appeal_id"] for case in listed}
        assert UNSAFE not in str(listed)
        sent = client.post(f"/v1/appeals/{appeal_id}", json={"statement": "It is for a film."})
        assert (sent.status_code, sent.json()["status"]) == (202, "appealed")
        opened = client.get(f"/v1/review/{appeal_id}")
        assert opened.headers["cache-control"] == "no-store"
        case = opened.json()
        assert case["texts"] == {"prompt": UNSAFE}
        assert case["statement"] == "It is for a film."
        assert {"who": "full", "what": "texts"}.items() <= case["accesses"][0].items()
        assert client.get(f"/v1/review/{appeal_id}/image").json()["code"] == "no_picture"
        body = {"outcome": "upheld", "reason": "Gore."}
        decided = client.post(f"/v1/review/{appeal_id}/decision", json=body).json()
        assert (decided["status"], decided["reviewer"]) == ("upheld", "full")
    assert UNSAFE not in service.log.read_text()


def test_only_reviewers_of_the_same_tenant_may_look(service: Service) -> None:
    appeal_id = refused(service)
    with service.client("detect") as client:
        assert client.get("/v1/review").status_code == 403
        assert client.get(f"/v1/review/{appeal_id}").status_code == 403
    with service.client("other") as client:
        assert client.get(f"/v1/review/{appeal_id}").status_code == 404
        assert client.get(f"/v1/review/{appeal_id}/image").status_code == 404
        assert client.post(f"/v1/appeals/{appeal_id}", json={"statement": "mine"}).status_code == 404
        body = {"outcome": "overturned", "reason": "mine"}
        assert client.post(f"/v1/review/{appeal_id}/decision", json=body).status_code == 404
        assert appeal_id not in client.get("/v1/review").text
    with service.client(None) as client:
        assert client.get("/v1/review").status_code == 401


def test_wrong_bodies_are_4xx(service: Service) -> None:
    appeal_id = refused(service)
    with service.client() as client:
        for path, body in (
            (f"/v1/review/{appeal_id}/decision", {"outcome": "maybe", "reason": "x"}),
            (f"/v1/review/{appeal_id}/decision", {"outcome": "upheld"}),
            (f"/v1/appeals/{appeal_id}", {"statement": ""}),
            (f"/v1/appeals/{appeal_id}", {"statement": "x" * 2001}),
        ):
            assert client.post(path, json=body).status_code == 422, body
        assert client.get("/v1/review", params={"before": "2026-11-22T12:00:00"}).status_code == 422
        assert client.get("/v1/review", params={"before": "0001-01-01T00:00:00+14:00"}).status_code == 422
        assert client.get("/v1/review/not-an-id").status_code == 422
