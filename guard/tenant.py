"""What a tenant may be called, wherever tenants are named: settings, API keys, requests, ledger entries."""

from __future__ import annotations

TENANT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.:/@+-]{0,127}$"
"""1 to 128 characters: an account name, an e-mail address, a host or a path fits; ledger entries accept no others."""
