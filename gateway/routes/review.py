"""Routes for reviewers (/v1/review) and for appeals (/v1/appeals); every opening of content is noted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.auth.api_keys import Caller, Scope
from gateway.problems import HTTPProblemError
from gateway.review.cases import Case, CaseStatus, Part, ReviewOutcome
from gateway.review.queue import MAX_TEXT_CHARS, UnknownCaseError
from gateway.routes.access import requires, runtime_of
from gateway.runtime import Runtime

router = APIRouter(prefix="/v1", tags=["review"])
AppealID = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="16 hex digits, as the refusal gave them.")]
Reviewer = Annotated[Caller, Depends(requires(Scope.REVIEW))]
Installed = Annotated[Runtime, Depends(runtime_of)]
MAX_PAGE = 200


class DecisionBody(BaseModel):
    """Body of POST /v1/review/{appeal_id}/decision."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"outcome": "overturned", "reason": "A medical illustration, not gore."}]},
    )

    outcome: ReviewOutcome
    reason: str = Field(min_length=1, max_length=MAX_TEXT_CHARS, description="Why; kept with the decision.")


class AppealBody(BaseModel):
    """Body of POST /v1/appeals/{appeal_id}."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"statement": "I asked for a picture of a wax museum."}]}
    )

    statement: str = Field(min_length=1, max_length=MAX_TEXT_CHARS, description="Why the refusal was wrong.")


@router.get("/review", summary="Refusals of this tenant, newest first")
def cases(
    caller: Reviewer,
    runtime: Installed,
    status: Annotated[CaseStatus | None, Query(description="Only cases that stand here.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    before: Annotated[datetime | None, Query(description="`next` of the page before.")] = None,
) -> dict[str, Any]:
    """List cases without their content; ``next`` is the ``before`` of the next page, or null at the end."""
    if before is not None and before.tzinfo is None:
        raise HTTPProblemError(422, "invalid_request", "`before` has no time zone.", next_step="Send it as given.")
    try:
        start = None if before is None else before.astimezone(UTC)
    except OverflowError as exc:
        raise HTTPProblemError(422, "invalid_request", "`before` is no date.", next_step="Send it as given.") from exc
    found = runtime.reviews.cases(tenant=caller.tenant, status=status, limit=limit, before=start)
    following = found[-1].withheld_at.isoformat() if len(found) >= limit else None
    return {"cases": [case.as_json() for case in found], "next": following}


@router.get("/review/{appeal_id}", summary="One refusal, with what was asked for", responses={404: {}})
def case(appeal_id: AppealID, caller: Reviewer, runtime: Installed, response: Response) -> dict[str, Any]:
    """Return the case with its texts and the appeal's statement, while they are kept; the opening is noted."""
    response.headers["Cache-Control"] = "no-store"
    known = _known(runtime, appeal_id, caller)
    opened = {
        part: runtime.reviews.open_part(appeal_id, part, tenant=caller.tenant, who=caller.name)
        for part in (Part.TEXTS, Part.STATEMENT)
    }
    texts, statement = opened[Part.TEXTS], opened[Part.STATEMENT]
    history = runtime.reviews.accesses(appeal_id, tenant=caller.tenant)
    return {
        **known.as_json(),
        "texts": None if texts is None else json.loads(texts),
        "statement": None if statement is None else statement.decode(),
        "accesses": [{"who": a.who, "what": a.what, "at": a.at.isoformat()} for a in history],
    }


@router.get(
    "/review/{appeal_id}/image",
    summary="The withheld picture",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}, 404: {}},
)
def picture(appeal_id: AppealID, caller: Reviewer, runtime: Installed) -> Response:
    """Return the withheld picture as PNG, unmarked and unsigned, for reviewers only; the opening is noted."""
    _known(runtime, appeal_id, caller)
    content = runtime.reviews.open_part(appeal_id, Part.PICTURE, tenant=caller.tenant, who=caller.name)
    if content is None:
        raise HTTPProblemError(
            404,
            "no_picture",
            "No picture is kept for this case.",
            next_step="The prompt was refused before anything was made, or the retention time is over.",
        )
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(content, media_type="image/png", headers=headers)


@router.post("/review/{appeal_id}/decision", summary="Uphold or overturn a refusal", responses={404: {}})
def decide(appeal_id: AppealID, body: DecisionBody, caller: Reviewer, runtime: Installed) -> dict[str, Any]:
    """Append a decision with its reason. Overturning releases nothing: the person may ask again."""
    _known(runtime, appeal_id, caller)
    decided = runtime.reviews.decide(
        appeal_id, tenant=caller.tenant, outcome=body.outcome, reviewer=caller.name, reason=body.reason
    )
    return decided.as_json()


@router.post("/appeals/{appeal_id}", summary="Disagree with a refusal", status_code=202, responses={404: {}})
def appeal(
    appeal_id: AppealID,
    body: AppealBody,
    caller: Annotated[Caller, Depends(requires(Scope.GENERATE))],
    runtime: Installed,
) -> dict[str, str]:
    """Note the appeal; a refusal can be appealed once."""
    _known(runtime, appeal_id, caller)
    noted = runtime.reviews.appeal(appeal_id, tenant=caller.tenant, statement=body.statement)
    return {"appeal_id": noted.appeal_id, "status": noted.status.value}


def _known(runtime: Runtime, appeal_id: str, caller: Caller) -> Case:
    """Return the case, or raise 404 alike for unknown ids and for other tenants' ids."""
    try:
        return runtime.reviews.case(appeal_id, tenant=caller.tenant)
    except UnknownCaseError as exc:
        raise HTTPProblemError(404, exc.code, str(exc), next_step=exc.diagnostics()) from exc
