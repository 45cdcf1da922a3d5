"""The tree of exceptions a user of gemsmith can meet.

    GemsmithError
    ├── ModelFileError          a checkpoint, config or tokenizer file that cannot be used
    │   ├── ConfigError         config.json: missing, contradictory or impossible values
    │   ├── TensorFileError     a tensor file whose header lies, or that is cut short
    │   ├── TensorMismatchError tensors missing, unexpected or of the wrong shape
    │   └── TokenizerError      a vocabulary that contradicts itself
    ├── ModelNotFoundError      a name that leads to no model
    ├── DownloadError           a model that cannot be fetched: network, server, disk, permission
    ├── RequestError            something asked of a model that it cannot do
    │   ├── ContextLengthError  more tokens than the model was started for
    │   ├── SamplingError       a sampling value outside its range
    │   ├── MessageError        a message or part that cannot be rendered
    │   ├── ToolError           a tool declaration or call that cannot be expressed
    │   ├── UnsupportedMediaError  a picture, clip or sound for a model without that sense
    │   └── MediaError          a picture, document, clip or sound that cannot be read, or is not allowed
    ├── SettingError            a settings file or environment variable that cannot be used
    ├── NumericalError          a computation that left the numbers (NaN or infinity)
    ├── MissingDependencyError  an optional extra is not installed
    │   └── NativeEngineError   the native engine was not built, or cannot be loaded
    └── TrainingError           a run that cannot start, resume or go on

Every message says what was asked, what was found, and what to do. `assert` is for our own invariants.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class GemsmithError(Exception):
    """The root: what `except gemsmith.GemsmithError` catches is a user's to mend, not a bug of ours."""

    def __reduce__(self) -> tuple[Any, ...]:
        """An error crosses processes as it is: its words are not made again from what its constructor takes."""
        return _as_it_was, (type(self), self.args, self.__dict__)


def _as_it_was(kind: type[GemsmithError], args: tuple[Any, ...], state: dict[str, Any]) -> GemsmithError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ModelFileError(GemsmithError):
    """A file of a checkpoint cannot be used."""


class ConfigError(ModelFileError):
    """config.json holds a missing, contradictory or impossible value."""


class TensorFileError(ModelFileError):
    """A tensor file whose header lies about its content, or that is cut short."""


class TensorMismatchError(ModelFileError):
    """Tensors of a checkpoint are missing, unexpected, or of the wrong shape.

    Names every offender in its attributes; the message shows the first few of each kind.
    """

    def __init__(
        self,
        source: str,
        *,
        missing: Iterable[str] = (),
        unexpected: Iterable[str] = (),
        misshaped: Iterable[str] = (),
    ):
        self.missing, self.unexpected, self.misshaped = tuple(missing), tuple(unexpected), tuple(misshaped)
        parts = [
            f"{len(names)} tensor{'s' * (len(names) > 1)} {kind}: {', '.join(names[:3])}{', …' * (len(names) > 3)}"
            for kind, names in (
                ("missing", self.missing),
                ("unexpected", self.unexpected),
                ("with the wrong shape", self.misshaped),
            )
            if names
        ]
        super().__init__(
            f"{source} does not match its config: {'; '.join(parts)}. "
            "Download the checkpoint again, or check that config.json belongs to it"
        )


class TokenizerError(ModelFileError):
    """A vocabulary or merge list that contradicts itself."""


class ModelNotFoundError(GemsmithError):
    """A name that leads to no model."""


class DownloadError(GemsmithError):
    """A model that cannot be fetched, or not now; what has arrived is kept, and the same command goes on from it."""


class RequestError(GemsmithError):
    """Something was asked of a model that it cannot do."""


class ContextLengthError(RequestError):
    """A prompt longer than the context the model was started for (counts in tokens); `most` is what it could be.

    `is_least`: the prompt was not counted, since it has more characters than so many tokens could have.
    """

    def __init__(self, num_tokens: int, limit: int, most: int = 0, is_least: bool = False):
        self.num_tokens, self.limit = num_tokens, limit
        larger = f", or load the model with a larger max_context, up to {most}" if most > limit else ""
        least = "at least " if is_least else ""
        super().__init__(
            f"prompt has {least}{num_tokens} tokens but this model's context is {limit}; shorten it{larger}"
        )


class SamplingError(RequestError):
    """A sampling value outside its range."""


class MessageError(RequestError):
    """A message or part that cannot be rendered for the model."""


class ToolError(RequestError):
    """A tool declaration or call that cannot be expressed in Gemma's syntax."""


class UnsupportedMediaError(RequestError):
    """A picture, clip or sound was given to a model without that sense; `part` is which, where that is known."""

    part: Any = None


class MediaError(RequestError):
    """A picture, document, clip or sound that cannot be read, or may not be.

    `code` is for programs: `media_not_found` (no such file or page), `media_refused` (an address, where none may be
    fetched; a document behind a password), `media_format` (no format that is known here), `media_damaged`,
    `media_too_large` (a limit of `MediaSettings`), `media_decode_failed` (the decoding process crashed, hung
    or ran out of memory). The message is one of a fixed list with numbers filled in: no path, address or text of the
    file or of a decoder is ever part of it.
    """

    part: Any = None  # the `Image`, `Document`, `Audio` or `Video` of the request, where that is known

    def __init__(self, code: str, message: str):
        self.code = code
        super().__init__(message)


class SettingError(GemsmithError):
    """A settings file or an environment variable holds what is no setting, or a value that cannot be one."""


class NumericalError(GemsmithError):
    """A computation left the numbers: NaN or infinity. The answer would be wrong, so there is none."""


class MissingDependencyError(GemsmithError):
    """An optional extra is not installed."""

    def __init__(self, package: str, extra: str, purpose: str):
        self.package, self.extra = package, extra
        super().__init__(f"{purpose} needs {package}, which is not installed; run: pip install 'gemsmith[{extra}]'")


class NativeEngineError(MissingDependencyError):
    """The native engine was not built when gemsmith was installed, or cannot be loaded, for this `reason`."""

    def __init__(self, reason: str | None = None):
        self.package, self.extra, self.reason = "the native engine", "", reason
        found = "was not built when gemsmith was installed" if reason is None else f"cannot be loaded ({reason})"
        GemsmithError.__init__(
            self,
            f"this needs gemsmith's native engine, which {found}; install a C++ compiler and Python's headers"
            " (Debian and Ubuntu: apt-get install g++ python3-dev), then gemsmith again:"
            " pip install --force-reinstall --no-deps gemsmith (in a checkout: pip install -e .)",
        )


class NoEngineError(MissingDependencyError):
    """Neither the native engine nor torch is there."""

    def __init__(self) -> None:
        self.package, self.extra = "an engine", "torch"
        GemsmithError.__init__(
            self,
            "running a model needs an engine, and there is none: the native one was not built when gemsmith was"
            " installed (was there a C++ compiler?), and torch is not installed; run one of:\n"
            "  apt-get install g++ python3-dev, then install gemsmith again (the native engine: small and fast)\n"
            "  pip install 'gemsmith[torch]' (the reference engine)",
        )


class TrainingError(GemsmithError):
    """A training run that cannot start, resume or go on."""
