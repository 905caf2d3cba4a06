"""The one place where the version stands; SemVer of the HTTP interface and the CLI (docs/decisions)."""

__version__ = "0.1.0"
