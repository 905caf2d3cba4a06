"""Find and read policies; where the folder is, is the caller's business.

``load_policy(path)`` for one file; ``load_named(folder, "default")`` or ``load_named(folder, "generation.default")``
for ``folder/generation.default.yaml``.
"""

from __future__ import annotations

import re
from pathlib import Path

from guard.errors import PolicyError
from guard.policy.decide import Policy
from guard.policy.schema import PolicyDocument
from guard.strict_yaml import read_strict

_BUNDLED = re.compile(r"^(?P<id>generation\.[a-z0-9][a-z0-9_-]*)\.yaml$")
_PREFIX = "generation."


def load_policy(path: Path) -> Policy:
    """Read, validate and digest one policy file.

    Raises:
        PolicyError: unreadable, not strict YAML, not a policy, empty, or named differently from its file.
    """
    document, digest = read_strict(path, PolicyDocument)
    match = _BUNDLED.match(path.name)
    if match is not None and match["id"] != document.id:
        raise PolicyError(f"{path} calls itself {document.id!r}, its name says {match['id']!r}; rename one of them.")
    return Policy(document=document, digest=digest)


def policy_names(folder: Path) -> tuple[str, ...]:
    """Return the ids of the generation policies in a folder, sorted.

    Raises:
        PolicyError: the folder cannot be read.
    """
    try:
        names = sorted(match["id"] for path in folder.iterdir() if (match := _BUNDLED.match(path.name)))
    except OSError as exc:
        raise PolicyError(f"The policies folder {folder} cannot be read: {exc.strerror or exc}.") from exc
    return tuple(names)


def load_named(folder: Path, policy_id: str) -> Policy:
    """Load a policy by its id, with or without the prefix ``generation.``, from a folder.

    Raises:
        PolicyError: there is no such policy (the message lists those there are), or it is not valid.
    """
    known = policy_names(folder)
    full_id = policy_id if policy_id.startswith(_PREFIX) else _PREFIX + policy_id
    if full_id not in known:
        raise PolicyError(f"There is no policy {policy_id!r} in {folder}; there are: {', '.join(known) or 'none'}.")
    return load_policy(folder / f"{full_id}.yaml")
