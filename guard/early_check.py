"""Stopping a generation early: what the policy would block anyway need not be finished.

The image checkers look at previews (``GenerationHooks.on_preview``). A batch is given up only when every picture of it
would be blocked; one that may pass, or that a person is to review, is always finished and checked again as usual. What
was stopped is refused even if a generator finishes it regardless.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from guard.interfaces import GenerationHooks
from guard.records import RGB8, Action, Decision

NOTE = "It was seen in a preview; the picture was not finished."


class EarlyCheck:
    """The previews of one request.

    Attributes:
        stopped: index of an image -> why it was given up.
    """

    def __init__(self, decide: Callable[[RGB8], Decision], *, at: tuple[float, ...]) -> None:
        """Prepare; nothing is looked at yet.

        Args:
            decide: runs the image checkers and the policy on (H, W, 3) uint8.
            at: shares of the denoising steps; empty looks at nothing.
        """
        self._decide, self._at = decide, at
        self.stopped: dict[int, Decision] = {}

    def join(self, hooks: GenerationHooks) -> GenerationHooks:
        """Return the hooks with this check among them."""
        return replace(hooks, preview_at=self._at, on_preview=self._give_up) if self._at else hooks

    def _give_up(self, first: int, previews: Sequence[RGB8]) -> bool:
        """Return whether all previews of a batch would be blocked."""
        decisions: list[Decision] = []
        for preview in previews:
            decision = self._decide(preview)
            if decision.action is not Action.BLOCK:
                return False
            decisions.append(replace(decision, reason=f"{decision.reason} {NOTE}"))
        self.stopped.update(enumerate(decisions, start=first))
        return bool(decisions)
