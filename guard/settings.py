"""Settings of one installation, from the environment (``SIGNET_*``); nothing here decides about content.

Everything that can change a decision is in ``policies/``.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from guard.errors import ConfigError
from guard.tenant import TENANT_PATTERN

PREFIX = "SIGNET_"
"""Start of every environment variable that is a setting."""
_PERIOD = r"[A-Za-z0-9._-]{1,32}"
_CHECKOUT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Where things are and what this machine may do.

    Every field can be set by the environment variable ``SIGNET_<FIELD>``; ``signet doctor`` lists them all.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    home: Path = Field(Path.home() / ".signet", description="Folder for keys, ledger, registry and stored images.")
    policies: Path = Field(_CHECKOUT / "policies", description="Folder with the policy files.")
    generation_policy: str = Field("generation.default", description="Policy that guards generation.")
    detection_policy: str = Field("detection.default", description="Policy that joins evidence.")
    key_passphrase_file: Path | None = Field(None, description="File whose first line unlocks the signing key.")
    key_passphrase_fd: int | None = Field(
        None, ge=3, description="File descriptor to read that line from instead; it is read once and closed."
    )
    signer_ca: Path | None = Field(None, description="PEM: who vouches for a signing service (mutual TLS).")
    signer_certificate: Path | None = Field(None, description="PEM: our certificate for a signing service.")
    signer_key: Path | None = Field(None, description="Its private key.")
    signer_deadline_s: float = Field(5.0, gt=0, le=60, description="Seconds a key elsewhere may take to sign.")
    quarantine_key_file: Path | None = Field(
        None, description="Key that encrypts withheld content; default: keys/quarantine.key, made when missing."
    )
    trust_anchors: Path | None = Field(None, description="PEM file with further trusted C2PA roots.")
    ocsp_hosts: str = Field(
        "", description="Hosts, comma-separated, that may be asked whether a trusted signer was revoked; empty: none."
    )
    tsa_url: str | None = Field(None, description="RFC 3161 time-stamp authority for new manifests.")
    tsa_policy: Literal["refuse", "sign_without"] = Field(
        "refuse", description="When the time-stamp authority fails: refuse the picture, or sign without and say so."
    )
    tsa_deadline_s: float = Field(5.0, gt=0, le=60, description="Seconds the time-stamp authority may take.")
    provider: str = Field("Signet (self-hosted)", description="Provider named in manifests.")
    tenant: str = Field("local", pattern=TENANT_PATTERN, description="Tenant for commands and for keys without one.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where models run.")
    models: Path | None = Field(None, description="YAML file that lists further generators (docs/models.md).")
    default_model: str = Field("signet-mini", description="Generator used when a request names none.")
    host: str = Field("127.0.0.1", description="Address that `signet serve` listens on.")
    port: int = Field(8642, ge=1, le=65535, description="Port that `signet serve` listens on.")
    api_keys_file: Path | None = Field(None, description="File with API keys; without it only loopback is served.")
    public_resolution: bool = Field(False, description="Answer C2PA soft-binding queries of callers without a key.")
    latent_mark: bool = Field(False, description="Put the id into the noise that pictures grow from (UNet models).")
    watermark_period: str = Field(
        "1", pattern=f"^{_PERIOD}$", description="Whose watermark key is written, such as 2026-11; change it monthly."
    )
    watermark_old_periods: str = Field(
        "",
        pattern=f"^({_PERIOD}( *, *{_PERIOD}){{0,61}})?$",
        description="Earlier periods, comma-separated, whose marks are still read; those of period 1 always are.",
    )
    mark_over_foreign: bool = Field(False, description="Also mark pictures that carry another maker's watermark.")
    manifest_prompts: bool = Field(False, description="Put prompts into manifests, where everybody can read them.")
    manifest_thumbnails: bool = Field(False, description="Put thumbnails into manifests: ten times slower.")
    worker_processes: int = Field(
        default_factory=lambda: min(4, os.cpu_count() or 1),
        ge=1,
        le=64,
        description="Killable workers for native parsers of uploads; also the most uploads that are judged at a time.",
    )
    worker_deadline_s: float = Field(3.0, gt=0, le=60, description="Seconds a native parser may take for one file.")
    worker_memory_mb: int = Field(2048, ge=256, description="Memory limit of one such worker, in MiB.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe log level.")

    @property
    def keys_folder(self) -> Path:
        """Return the folder with keys and certificates."""
        return self.home / "keys"

    @property
    def trust_folder(self) -> Path:
        """Return the folder with the trust lists of others."""
        return self.home / "trust"

    @property
    def ledger_path(self) -> Path:
        """Return the ledger's SQLite file."""
        return self.home / "ledger.sqlite3"

    @property
    def protected_set_path(self) -> Path:
        """Return the SQLite file of the protected set."""
        return self.home / "protected.sqlite3"

    @property
    def review_path(self) -> Path:
        """Return the SQLite file of the review queue."""
        return self.home / "review.sqlite3"

    @property
    def quarantine_key_path(self) -> Path:
        """Return the file with the key that encrypts withheld content."""
        return self.quarantine_key_file or self.keys_folder / "quarantine.key"

    @property
    def images_folder(self) -> Path:
        """Return the folder with the bytes of released images."""
        return self.home / "images"


def load_settings(**overrides: object) -> Settings:
    """Read the settings from the environment, with explicit overrides first.

    Raises:
        ConfigError: a variable has a value of the wrong kind, or no setting has its name; the message names it.
    """
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:  # a misspelt setting must not fall back to a default
            near = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(
                f"There is no setting {name}.",
                next_step=f"Did you mean {near[0]}?" if near else "Unset it; `signet doctor` lists all settings.",
            )
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as exc:
        first = exc.errors()[0]
        name = "SIGNET_" + "_".join(str(part) for part in first["loc"]).upper()
        raise ConfigError(f"The setting {name} is wrong: {first['msg']}.") from exc
