"""An OpenAI-compatible moderation endpoint, played by a local HTTP server."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from guard.errors import CheckError, ConfigError
from guard.prompt_check.moderation_endpoint import Endpoint, ModerationEndpoint, read_scores

GOOD = {"results": [{"flagged": True, "category_scores": {"violence": 0.2, "violence/graphic": 0.9, "hate": 0.1}}]}


class Script:
    """What the server answers, and what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.body: bytes = json.dumps(GOOD).encode()
        self.wait_s = 0.0
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []


@pytest.fixture
def server() -> Iterator[tuple[str, Script]]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            script.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            script.keys.append(self.headers.get("Authorization"))
            time.sleep(script.wait_s)
            self.send_response(script.status)
            self.send_header("Content-Length", str(len(script.body)))
            self.end_headers()
            self.wfile.write(script.body)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                return  # the caller stopped waiting

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}/v1/moderations", script
    running.shutdown()
    running.server_close()


def made(url: str, **changes: Any) -> ModerationEndpoint:
    given: dict[str, Any] = {
        "url": url,
        "model": None,
        "api_key_env": None,
        "timeout_s": 2.0,
        "on_failure": "withhold",
        "failures": 2,
        "cooldown_s": 60.0,
    }
    own = {name: changes.pop(name) for name in ("environment", "clock") if name in changes}
    endpoint = Endpoint(**{**given, **changes})
    return ModerationEndpoint(checker_id="prompt.moderation.x", endpoint=endpoint, report_above=0.5, severity=3, **own)


def test_the_highest_score_of_a_category_becomes_a_finding(server: tuple[str, Script]) -> None:
    url, script = server
    checker = made(url, model="omni", api_key_env="KEY", environment={"KEY": "secret"})
    result = checker.examine([("prompt", "angry wolf")])
    assert [(f.category, f.score) for f in result.findings] == [("violence_gore", 0.9)]
    assert script.asked == [{"input": "angry wolf", "model": "omni"}]
    assert script.keys == ["Bearer secret"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (200, b"not json"),
        (200, b'{"results": []}'),
        (200, b'{"results": [{"category_scores": {}}]}'),
        (200, b'{"results": [{"category_scores": {"hate": NaN}}]}'),
        (200, b'{"results": [{"category_scores": {"hate": 7}}]}'),
        (200, b'{"results": [{"category_scores": {"hate": true}}]}'),
        (200, b" " * 1_100_000),
    ],
)
def test_no_usable_answer_withholds(server: tuple[str, Script], status: int, body: bytes) -> None:
    url, script = server
    script.status, script.body = status, body
    with pytest.raises(CheckError):
        made(url).examine([("prompt", "angry wolf")])


def test_a_slow_answer_withholds_within_the_deadline(server: tuple[str, Script]) -> None:
    url, script = server
    script.wait_s = 3.0
    started = time.monotonic()
    with pytest.raises(CheckError, match=r"within 0\.3 s"):
        made(url, timeout_s=0.3).examine([("prompt", "angry wolf")])
    assert time.monotonic() - started < 2.0


def test_degrade_goes_on_without_it_and_says_so_without_the_text(
    server: tuple[str, Script], caplog: pytest.LogCaptureFixture
) -> None:
    url, script = server
    script.status = 503
    result = made(url, on_failure="degrade").examine([("prompt", "angry wolf")])
    assert (result.findings, result.probability) == ((), 0.0)
    assert "prompt.moderation.x" in caplog.text
    assert "angry" not in caplog.text


def test_a_dead_endpoint_is_not_asked_again_until_the_cool_down(server: tuple[str, Script]) -> None:
    url, script = server
    script.status = 503
    now = [0.0]
    checker = made(url, clock=lambda: now[0])
    for _ in range(4):
        with pytest.raises(CheckError):
            checker.examine([("prompt", "angry wolf")])
    assert len(script.asked) == 2
    now[0], script.status = 61.0, 200
    assert checker.examine([("prompt", "angry wolf")]).findings != ()


def test_nothing_listens_there() -> None:
    with pytest.raises(CheckError, match="ConnectionRefused"):
        made("http://127.0.0.1:9").examine([("prompt", "angry wolf")])


@pytest.mark.parametrize("url", ["http://example.org/v1/moderations", "http://127.0.0.1.example.org/"])
def test_prompts_leave_the_machine_only_encrypted(url: str) -> None:
    with pytest.raises(ConfigError, match="https"):
        made(url)


def test_a_missing_key_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="KEY"):
        made("https://example.org/v1/moderations", api_key_env="KEY", environment={})


def test_small_scores_about_minors_are_noise_and_large_ones_count() -> None:
    answer = {"results": [{"category_scores": {"sexual/minors": 0.001, "sexual": 0.4, "weather": 1.0}}]}
    assert read_scores(answer) == {"sexual": 0.4}
    answer["results"][0]["category_scores"]["sexual/minors"] = 0.8
    assert read_scores(answer) == {"sexual_minors": 0.8, "sexual": 0.4}
