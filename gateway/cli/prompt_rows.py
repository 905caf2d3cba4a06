"""Prompts as lines of a JSON Lines file, for ``signet check-prompt --file`` and ``signet policy test --cases``."""

from __future__ import annotations

import json
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from guard.admission import MAX_PROMPT_CHARS
from guard.errors import RequestError


class PromptRow(BaseModel):
    """Everything that steers one picture. Other keys of a line (labels, sources) are left alone.

    Attributes:
        text: the prompt.
        prompt_2: the text for a second text encoder.
        negative: the negative prompt, also under the key ``negative_prompt``.
        guidance: the guidance scale, None for the model's own.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    text: str
    prompt_2: str = ""
    negative: str = Field("", validation_alias=AliasChoices("negative", "negative_prompt"))
    guidance: float | None = Field(None, allow_inf_nan=False)

    def checked(self) -> PromptRow:
        """Return the row. Raises RequestError when the prompt is empty or any text too long to be checked."""
        if not self.text.strip():
            raise RequestError("The text is empty.", next_step="Give a text to check.")
        longest = max(len(self.text), len(self.prompt_2), len(self.negative))
        if longest > MAX_PROMPT_CHARS:
            raise RequestError(f"The text has {longest} characters; at most {MAX_PROMPT_CHARS} are accepted.")
        return self

    def rest(self) -> dict[str, Any]:
        """Return all but the prompt, as keyword arguments of ``examine_text``."""
        return {"prompt_2": self.prompt_2, "negative": self.negative, "guidance": self.guidance}


def prompt_row(line: bytes | dict[str, Any], *, where: str) -> PromptRow:
    """Return one line, or one object of it, as a row. Raises RequestError that names the place."""
    try:
        found = json.loads(line.decode()) if isinstance(line, bytes) else line
        given = {key: value for key, value in found.items() if value is not None} if isinstance(found, dict) else found
        if isinstance(given, dict) and given.keys() >= {"negative", "negative_prompt"}:
            raise RequestError(f"{where} has both `negative` and `negative_prompt`.", next_step="Give one of them.")
        return PromptRow.model_validate(given)
    except ValidationError as exc:
        named = sorted({str(problem["loc"][0]) for problem in exc.errors() if problem["loc"]})
        wrong = f": {', '.join(named)}" if named else ""
        raise RequestError(
            f"{where} is not a JSON object with a `text` key, texts in `prompt_2` and `negative` and a number in "
            f"`guidance`{wrong}."
        ) from exc
    except (ValueError, RecursionError) as exc:  # not UTF-8, not JSON, or nested without end
        raise RequestError(f"{where} is not JSON.") from exc
