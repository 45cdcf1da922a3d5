"""What the decoding process can do: a function `decode(file, options) -> (values, arrays)` a module.

`file` is open for reading, at its beginning, and is closed by who called; `options` and `values` are what JSON can
hold; `arrays` are numpy's. A job imports its library when it is imported, and only the child process imports a job.
It raises `MediaError` for what it refuses, in words without `/`, backslash or quotation of the file; whatever else it
raises is told to the user as a damaged file. A job whose work grows with a length calls `length.tell` once it knows it.
"""

from __future__ import annotations

JOBS = {
    "picture": "gemsmith.media.jobs.picture",
    "document": "gemsmith.media.jobs.document",
    "draw": "gemsmith.media.jobs.draw",
    "clip": "gemsmith.media.jobs.clip",
    "sound": "gemsmith.media.jobs.sound",
}
