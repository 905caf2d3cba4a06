"""Fakes of our own Protocols: scripted, counting, deterministic."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from guard.records import RGB8, AdmittedRequest, Finding


@dataclass
class FixedClock:
    """A clock that moves one second a call."""

    start: datetime = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    calls: int = 0

    def now(self) -> datetime:
        self.calls += 1
        return self.start + timedelta(seconds=self.calls - 1)


@dataclass
class ScriptedPromptChecker:
    """Returns the scripted findings, or raises the scripted error."""

    id: str = "fake.prompt"
    findings: Sequence[Finding] = ()
    error: Exception | None = None
    seen: list[AdmittedRequest] = field(default_factory=list)

    def check(self, request: AdmittedRequest) -> Sequence[Finding]:
        self.seen.append(request)
        if self.error is not None:
            raise self.error
        return self.findings


@dataclass
class ScriptedImageChecker:
    """Returns the scripted findings, or raises the scripted error."""

    id: str = "fake.image"
    findings: Sequence[Finding] = ()
    error: Exception | None = None
    seen: list[RGB8] = field(default_factory=list)

    def check(self, pixels: RGB8) -> Sequence[Finding]:
        self.seen.append(pixels)
        if self.error is not None:
            raise self.error
        return self.findings
