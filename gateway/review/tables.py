"""Tables of the review file.

::

    cases      one row for each refusal; never deleted
    sealed     encrypted texts, pictures and appeal statements; erased when they expire
    decisions  one row for each decision of a reviewer, append-only; the last one counts
    accesses   who opened what, append-only
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text

SCHEMA_VERSION = 1
"""``PRAGMA user_version`` of a review file."""

metadata = MetaData()

cases = Table(
    "cases",
    metadata,
    Column("appeal_id", Text, primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("image_id", Text),
    Column("tenant", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("category", Text),
    Column("reason", Text, nullable=False),
    Column("rules", Text, nullable=False),
    Column("findings", Text, nullable=False),
    Column("policy_id", Text, nullable=False),
    Column("policy_digest", Text, nullable=False),
    Column("withheld_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Column("appealed_at", Text),
    Index("cases_by_tenant", "tenant", "withheld_at"),
)
sealed = Table(
    "sealed",
    metadata,
    Column("appeal_id", Text, ForeignKey("cases.appeal_id"), primary_key=True),
    Column("part", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
decisions = Table(
    "decisions",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("appeal_id", Text, ForeignKey("cases.appeal_id"), nullable=False, index=True),
    Column("outcome", Text, nullable=False),
    Column("reviewer", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Text, nullable=False),
)
accesses = Table(
    "accesses",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("appeal_id", Text, ForeignKey("cases.appeal_id"), nullable=False, index=True),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("at", Text, nullable=False),
)
