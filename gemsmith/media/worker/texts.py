"""Every sentence about a decoding process that failed, and the check that what it says itself may be shown.

The child reads what strangers made, so its words are not trusted: a refusal is shown only if it is one short line
without anything like a path, an address or a quotation.
"""

from __future__ import annotations

import re

from gemsmith.errors import MediaError

TEXTS = {
    "crash": "the decoder crashed on this file; it is damaged or made to do harm, so leave it out or convert it first",
    "hang": "this file was not decoded within {seconds:g} s; make it smaller, or allow a larger timeout_s",
    "memory": "decoding this file takes more than {megabytes} MB; make it smaller, or allow a larger max_memory",
    "nonsense": "the decoder answered with nonsense for this file; leave it out or convert it first",
    "start": "the process that decodes media could not be started; check that this Python can start another one",
    "damaged": "this file is damaged, or is not what it seems to be; open it elsewhere and save it again",
}
CODES = {"media_not_found", "media_refused", "media_format", "media_damaged", "media_too_large", "media_decode_failed"}
PACKAGES = {"PIL": "pillow", "av": "av", "pypdfium2": "pypdfium2"}  # module a job may miss -> what to install

# Words, numbers and ordinary punctuation; no slash or backslash, no bracket or quotation mark of code or of a file.
_PLAIN = re.compile(r"[\w ,.;:()'’×–+=%…-]{1,400}")
_ADDRESS = re.compile(r"0x[0-9a-f]{4,}", re.IGNORECASE)


def failed(how: str, **numbers: float) -> MediaError:
    """The error for a child that failed: `how` is a key of TEXTS."""
    code = "media_damaged" if how == "damaged" else "media_decode_failed"
    return MediaError(code, TEXTS[how].format(**numbers))


def refused(code: str, message: str) -> MediaError:
    """The child's own refusal, if it may be shown; else what is said of any damaged file."""
    if not _PLAIN.fullmatch(message) or _ADDRESS.search(message):
        return failed("damaged")
    return MediaError(code, message)
