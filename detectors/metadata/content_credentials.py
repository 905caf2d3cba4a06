"""Content credentials as evidence: what a signed manifest says about the file's origin, and whether it holds."""

from __future__ import annotations

from detectors.evidence import Direction, Evidence, Family, Grade, Observation, Skipped, Technique
from detectors.upload import Upload
from guard.credentials import CredentialReport, CredentialState
from guard.interfaces import CredentialReader


class ContentCredentialsDetector:
    """Reads C2PA manifests through our own reader and trust list.

    A trusted manifest that states a generative-AI source anywhere in its parent chain is conclusive; one by an
    unknown signer supports; a broken one conflicts. No manifest means nothing.
    """

    id = "metadata.credentials"
    version = "1"
    family = Family.METADATA
    technique = Technique.CREDENTIALS
    time_budget_s = 5.0

    def __init__(self, reader: CredentialReader) -> None:
        self._reader = reader

    def examine(self, upload: Upload) -> Evidence | Skipped:
        """Return graded evidence, or Skipped when the file carries no credentials."""
        report = self._reader.read(upload.data)
        if report.state is CredentialState.NONE:
            return Skipped(
                id=self.id,
                version=self.version,
                family=self.family,
                technique=self.technique,
                reason="The file carries no content credentials. Most files do not; it means nothing by itself.",
            )
        grade, direction, reason = _judge(report)
        return Evidence(
            id=self.id,
            version=self.version,
            family=self.family,
            technique=self.technique,
            grade=grade,
            direction=direction,
            reason=reason,
            generator=report.software_agents[0] if report.software_agents else report.generator,
            observations=credential_observations(report),
        )


def _judge(report: CredentialReport) -> tuple[Grade, Direction, str]:
    if report.state is CredentialState.TRUSTED:
        if report.ai_origin is True:
            return (
                Grade.CONCLUSIVE,
                Direction.AI,
                f"A credential signed by {report.signer or 'a trusted signer'}, whom we trust, states that the picture "
                "was made or changed by generative AI, and the file is unchanged since.",
            )
        if report.ai_origin is False:
            return (
                Grade.CONCLUSIVE,
                Direction.NOT_AI,
                f"A credential signed by {report.signer or 'a trusted signer'}, whom we trust, states another source "
                "than generative AI. It says what the signer declared, not what the camera saw.",
            )
        return (
            Grade.NEUTRAL,
            Direction.NONE,
            "A trusted credential is present; it does not say how the picture came to be.",
        )
    if report.state is CredentialState.VALID_UNTRUSTED:
        if report.ai_origin is True:
            return (
                Grade.SUPPORTING,
                Direction.AI,
                "An intact credential states generative AI, but its signer is not on our trust list.",
            )
        return (
            Grade.NEUTRAL,
            Direction.NONE,
            "An intact credential is present, but its signer is not on our trust list, so its statements do not count.",
        )
    if report.state is CredentialState.INVALID:
        return (
            Grade.CONFLICTING,
            Direction.NONE,
            "A credential is present but does not match this file: the file was changed after signing, or the "
            "credential was copied from elsewhere. " + report.explanation,
        )
    return Grade.CONFLICTING, Direction.NONE, "Something that looks like a credential is present but cannot be read."


def credential_observations(report: CredentialReport) -> tuple[Observation, ...]:
    """List what a credential report says, most telling first, for a moderator."""
    where = "C2PA manifest"
    rows = [
        ("state", report.state.value),
        ("signer", report.signer),
        ("issuer", report.issuer),
        ("signed at", report.signed_at),
        ("made with", ", ".join(report.software_agents) or report.generator),
        ("source type", ", ".join(uri.rsplit("/", 1)[-1] for uri in report.source_types)),
        ("soft binding", ", ".join(f"{b.algorithm} = {b.value}" for b in report.soft_bindings)),
        ("manifest", report.manifest_label),
        ("validation codes", ", ".join(report.codes)),
    ]
    seen = [Observation(name=name, value=value, where=where) for name, value in rows if value]
    seen += [
        Observation(name=f"ingredient ({part.relationship})", value=f"{part.title}: {part.state.value}", where=where)
        for part in report.ingredients
    ]
    return tuple(seen)
