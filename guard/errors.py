"""The one error tree of Signet; every error carries a stable code and says what an operator can do.

::

    GuardError                     .code (stable string), .diagnostics() -> next step
    |- ConfigError                 start-up only
    |  |- PolicyError              a policy file is missing, malformed or names an unknown part
    |  |- PluginError              a plug-in that a policy names is missing or broken
    |  |- WeightsError             model weights are missing, unpinned or fail their digest
    |  '- KeyMaterialError         a key or certificate is missing, unusable or expired
    |- InputError                  the caller's fault (HTTP 4xx, exit code 3 for one item of a batch)
    |  |- RequestError             a field of the request is wrong
    |  '- MediaError               the bytes are not an image that can be examined
    |     |- UndecodableMediaError not an image, or damaged
    |     |- MediaTooLargeError    over a byte, pixel or side limit (413)
    |     '- UnsupportedMediaError an image, but of a kind that is not accepted (415)
    |- StageError                  our fault (HTTP 5xx); the output is withheld
    |  |- CheckError               a safety check could not decide
    |  |- GenerationError          the model failed
    |  |  |- OutOfMemoryError      ... for lack of memory
    |  |  '- CancelledError        ... because the caller cancelled
    |  |- WatermarkError           the mark could not be written
    |  |- SigningError             the credential could not be written
    |  |- ReadBackError            a mark or credential was written but did not read back
    |  |- LedgerError              the record could not be written or proved
    |  |- DeadlineError            a stage or a native parser ran past its deadline
    |  |  '- BusyError             ... before it had its turn
    |  '- WorkerError              the process of a native parser died or gave no usable answer
    |- VerificationError           presented as genuine, but is not
    |  '- LedgerProofError         a ledger, proof or signed tree head does not verify
    '- DetectorError               one detector could not run; the report still comes
"""

from __future__ import annotations

from typing import ClassVar


class GuardError(Exception):
    """Base of every error raised on purpose by Signet.

    Attributes:
        code: stable machine-readable name, part of the public interface.
    """

    code: ClassVar[str] = "guard_error"
    next_step: ClassVar[str] = "Read the log entry with this request's id."

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        """Keep the message and, where the default does not fit, what to do about it."""
        super().__init__(message)
        self._next_step = next_step

    def diagnostics(self) -> str:
        """Return one sentence that says what the reader can do next."""
        return self._next_step or self.next_step


class ConfigError(GuardError):
    """Something is set up wrongly; raised at start-up, never per request."""

    code = "config_error"
    next_step = "Run `signet doctor` and correct the named setting."


class PolicyError(ConfigError):
    """A policy file is missing, malformed, empty or names an unknown part."""

    code = "policy_error"
    next_step = "Run `signet policy check` on the named file."


class PluginError(ConfigError):
    """A plug-in that a policy names is missing, broken or registered twice."""

    code = "plugin_error"
    next_step = "Install or repair the plug-in, or remove it from the policy."


class WeightsError(ConfigError):
    """Model weights are missing, unpinned, of a refused format or fail their digest."""

    code = "weights_error"
    next_step = "Check the weights folder and its pinned SHA-256 digests."


class KeyMaterialError(ConfigError):
    """A key or certificate is missing, unusable, mismatched or expired."""

    code = "key_material_error"
    next_step = "Run `signet keys list`; `signet keys init` makes development keys."


class InputError(GuardError):
    """The caller sent something that cannot be processed; nothing was lost."""

    code = "input_error"
    next_step = "Correct the request and send it again."


class RequestError(InputError):
    """A field of a request is missing, malformed or out of range."""

    code = "invalid_request"


class MediaError(InputError):
    """The bytes cannot be examined as a still image."""

    code = "invalid_media"
    next_step = "Send a still PNG, JPEG or WebP image."


class UndecodableMediaError(MediaError):
    """Not an image at all, or truncated or damaged."""

    code = "undecodable_media"


class MediaTooLargeError(MediaError):
    """Over a limit on bytes, pixels or side length."""

    code = "media_too_large"
    next_step = "Send a smaller image; the limits are listed by `signet doctor`."


class UnsupportedMediaError(MediaError):
    """A real image, but of a kind that is not accepted here."""

    code = "unsupported_media"


class StageError(GuardError):
    """A stage of the flow malfunctioned; whatever was produced is withheld."""

    code = "stage_error"
    next_step = "Nothing was released. Retry; if it persists, read the service log for this id."


class CheckError(StageError):
    """A safety check could not decide; the flow fails closed."""

    code = "check_failed"


class GenerationError(StageError):
    """The generative model failed."""

    code = "generation_failed"


class OutOfMemoryError(GenerationError):
    """The device ran out of memory; the model stays loaded and usable."""

    code = "out_of_memory"
    next_step = "Ask for fewer or smaller images, a smaller dtype, or a device with more memory."


class CancelledError(GenerationError):
    """The caller cancelled; nothing was released."""

    code = "cancelled"
    next_step = "Nothing to do: the request was cancelled as asked."


class WatermarkError(StageError):
    """The watermark could not be written."""

    code = "watermark_failed"


class SigningError(StageError):
    """The content credential could not be written."""

    code = "signing_failed"


class ReadBackError(StageError):
    """A mark or credential was written but did not read back as written."""

    code = "read_back_failed"


class LedgerError(StageError):
    """The record could not be written, or its proof did not verify."""

    code = "ledger_failed"


class DeadlineError(StageError):
    """A stage, or a native parser working on an upload, ran past its deadline."""

    code = "deadline_exceeded"


class BusyError(DeadlineError):
    """There was no room in time; nothing was started."""

    code = "busy"
    next_step = "Send it again later, or run more workers (SIGNET_WORKER_PROCESSES)."


class WorkerError(StageError):
    """A worker process crashed, ran out of memory or gave no usable answer; the next call gets another."""

    code = "worker_failed"


class VerificationError(GuardError):
    """Presented as genuine, but does not verify."""

    code = "verification_failed"
    next_step = "Do not rely on the item; compare it with an independent copy."


class LedgerProofError(VerificationError):
    """A ledger, an inclusion or consistency proof, or a signed tree head does not verify."""

    code = "ledger_proof_invalid"


class DetectorError(GuardError):
    """One detector could not run; the engine reports it as failed and goes on."""

    code = "detector_failed"
