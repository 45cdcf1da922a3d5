"""From the media of a request to what a model reads of them, one file per step.

    refusal.py    what a model without that sense refuses, before anything is opened
    names.py      … "picture 2", for errors and warnings
    preparing.py  parts of messages to arrays, each source decoded once
    filling.py    arrays to the spans of their soft tokens in the prompt
    counting.py   … how many there are, in a prompt and of each kind
    keeping.py    arrays to soft tokens, the last used kept
    cutting.py    … a prompt in stretches that part nothing

Files marked … serve the one before them. Decoding is `media`'s, encoding the runtime's.
"""
