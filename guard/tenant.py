"""How those who ask are named, wherever they are: settings, API keys, requests, policies, ledger entries."""

from __future__ import annotations

TENANT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.:/@+-]{0,127}$"
"""1 to 128 characters: an account name, an e-mail address, a host or a path fits; ledger entries accept no others."""
LOCALE_PATTERN = r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}$"
"""A language tag such as ``de``, ``pt-BR`` or ``zh-Hant-TW``. Source: RFC 5646 (BCP 47), 2.1, without rare forms."""
