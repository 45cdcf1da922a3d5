"""A file of requests, answered line by line: bytes in, bytes out, and where a run that was stopped goes on.

`lines` reads, `strict` and `request` (or `openai`) understand, `answers` asks the model, `record` writes down; `work`
keeps the answers safe on disk, and `identity` knows whether they belong to this input and these settings.
"""
