"""Bytes to arrays: pictures, documents, clips and sound as a model's senses take them. Knows no model and no message.

Whatever a stranger made is decoded in a child process that can be killed (`worker`); errors here are fixed texts.
"""
