"""``prompt.moderation.*``: an OpenAI-compatible moderation endpoint as prompt checker.

One POST with all texts of a request, a deadline over the whole call, a circuit breaker. What happens when there is no
answer is the policy's word: ``withhold`` (nothing is released) or ``degrade`` (the other checkers of the policy decide
alone; every such case is logged by code, without the text). Prompts leave the machine: that is what the operator asks
for by naming a URL, and only https or a loopback address is accepted.

Source: OpenAI API reference, "Moderations" (``POST /v1/moderations``): results[].category_scores, 0..1.
"""

from __future__ import annotations

import http.client
import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from guard.errors import CheckError, ConfigError
from guard.prompt_check.circuit_breaker import CircuitBreaker
from guard.prompt_check.interfaces import TextFindings
from guard.prompt_check.scored_checker import ScoredChecker

CATEGORIES: Mapping[str, str] = {
    "sexual": "sexual",
    "sexual/minors": "sexual_minors",
    "hate": "hate",
    "hate/threatening": "hate",
    "harassment": "harassment",
    "harassment/threatening": "harassment",
    "self-harm": "self_harm",
    "self-harm/intent": "self_harm",
    "self-harm/instructions": "self_harm",
    "violence": "violence_gore",
    "violence/graphic": "violence_gore",
    "illicit": "illegal_activity",
    "illicit/violent": "illegal_activity",
}
"""Source: OpenAI API reference, moderation object, ``category_scores`` of omni-moderation-latest."""
MINORS_FROM = 0.5
"""Score of ``sexual/minors`` from which a finding is made: any finding in that category is blocked by a hard rule, and
the endpoint gives a small number for every text."""
MAX_ANSWER_BYTES = 1_000_000
"""Largest answer read; a result for one text has about 2 kB."""
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where and how to ask.

    Attributes:
        url: the full address, for instance ``https://api.openai.com/v1/moderations``.
        model: model name to ask for, or None for the endpoint's default.
        api_key_env: environment variable with the key, or None for an endpoint without one.
        timeout_s: seconds for the whole call.
        on_failure: ``withhold`` or ``degrade``.
        failures: failures in a row after which it is not asked for a while.
        cooldown_s: how long that is.
    """

    url: str
    model: str | None
    api_key_env: str | None
    timeout_s: float
    on_failure: Literal["withhold", "degrade"]
    failures: int
    cooldown_s: float


class ModerationEndpoint(ScoredChecker):
    """A remote classifier as ``PromptChecker``."""

    def __init__(
        self,
        *,
        checker_id: str,
        endpoint: Endpoint,
        report_above: float,
        severity: int,
        clock: Callable[[], float] = time.monotonic,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Check the address and the key; nothing is asked yet.

        Raises:
            ConfigError: the address is neither https nor loopback, or the key's variable is empty.
        """
        super().__init__(checker_id=checker_id, report_above=report_above, severity=severity)
        self._endpoint = endpoint
        self._target = _target(endpoint.url, checker_id)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if endpoint.api_key_env is not None:
            key = environment.get(endpoint.api_key_env, "").strip()
            if not key:
                raise ConfigError(
                    f"{checker_id} needs an API key in the environment variable {endpoint.api_key_env}.",
                    next_step=f"Set {endpoint.api_key_env}, or leave `api_key_env` out of the policy.",
                )
            self._headers["Authorization"] = f"Bearer {key}"
        self._breaker = CircuitBreaker(failures=endpoint.failures, cooldown_s=endpoint.cooldown_s, clock=clock)
        # threads, because a socket's timeout starts anew with every byte: a slow answer could take for ever
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="moderation")

    def examine(self, texts: Sequence[tuple[str, str]], *, negative_counts: bool = False) -> TextFindings:
        """Return what the endpoint found; see ``ScoredChecker.examine`` for which texts count.

        Raises:
            CheckError: there was no usable answer, and the policy says ``withhold``.
        """
        try:
            return super().examine(texts, negative_counts=negative_counts)
        except CheckError as error:
            if self._endpoint.on_failure == "withhold":
                raise
            _LOG.warning("prompt checker %s gave no answer and the policy goes on without it: %s", self.id, error)
            return TextFindings(findings=(), probability=0.0)

    def _score(self, text: str) -> Mapping[str, float]:
        """Ask about one text."""
        if not self._breaker.admits():
            raise CheckError(
                f"{self.id} failed {self._endpoint.failures} times in a row and is not asked again yet.",
                next_step="Check the moderation endpoint; it is tried again after the cool-down.",
            )
        answer = self._threads.submit(self._ask, text)
        try:
            scores = answer.result(timeout=self._endpoint.timeout_s)
        except FutureTimeoutError as exc:
            answer.cancel()
            self._breaker.failed()
            raise CheckError(f"{self.id} did not answer within {self._endpoint.timeout_s:g} s.") from exc
        except (OSError, http.client.HTTPException, ValueError) as exc:
            self._breaker.failed()
            raise CheckError(f"{self.id} gave no usable answer: {type(exc).__name__}.") from exc
        self._breaker.succeeded()
        return scores

    def _ask(self, text: str) -> dict[str, float]:
        """POST one text and return category -> score."""
        body: dict[str, Any] = {"input": text}
        if self._endpoint.model is not None:
            body["model"] = self._endpoint.model
        host, timeout_s = self._target.hostname or "", self._endpoint.timeout_s
        kind = http.client.HTTPSConnection if self._target.scheme == "https" else http.client.HTTPConnection
        connection = kind(host, self._target.port, timeout=timeout_s)
        try:
            path = self._target.path or "/"
            connection.request("POST", path, body=json.dumps(body).encode(), headers=self._headers)
            with connection.getresponse() as response:  # an answer that was not read to its end holds the socket
                status, data = response.status, response.read(MAX_ANSWER_BYTES + 1)
        finally:
            connection.close()
        if status != http.client.OK or len(data) > MAX_ANSWER_BYTES:
            raise ValueError(f"status {status}, {len(data)} bytes")
        return read_scores(json.loads(data))


def read_scores(document: Any) -> dict[str, float]:
    """Return our category -> highest score of an answer.

    Raises:
        ValueError: the answer is not of the documented form, or a score is not a number in 0..1.
    """
    results = document.get("results") if isinstance(document, dict) else None
    first = results[0] if isinstance(results, list) and results else None
    scores = first.get("category_scores") if isinstance(first, dict) else None
    if not isinstance(scores, dict) or not scores:
        raise ValueError("no results[0].category_scores")
    found: dict[str, float] = {}
    for name, value in scores.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError("a score is not a number")
        category = CATEGORIES.get(str(name))
        if category is None or (category == "sexual_minors" and value < MINORS_FROM):
            continue
        found[category] = max(float(value), found.get(category, 0.0))
    return found


def _target(url: str, checker_id: str) -> SplitResult:
    """Return the parts of an address that may be asked."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return parts
    raise ConfigError(
        f"{checker_id}: prompts may only be sent to https addresses or to this machine, not to {url!r}.",
        next_step="Correct `url` in the policy.",
    )
