"""``image.unsafe_unchecked``: the explicit way to release pictures that nobody looked at.

It finds nothing because it looks at nothing; the policy that lists it flags every picture as not examined
(``guard/policy/decide.py``) and has to give a reason, so the choice shows in the file, its digest and every record.
"""

from __future__ import annotations

from collections.abc import Sequence

from guard.records import RGB8, Finding


class UnsafeUncheckedImages:
    """Implements ``ImageChecker`` without looking.

    Attributes:
        id: ``image.unsafe_unchecked``.
    """

    id: str = "image.unsafe_unchecked"

    def check(self, pixels: RGB8) -> Sequence[Finding]:
        """Return nothing, whatever the picture shows."""
        return ()
