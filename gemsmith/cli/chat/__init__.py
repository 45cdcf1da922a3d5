"""`gemsmith run MODEL` without a prompt: a conversation at a terminal, or one prompt a line from a pipe.

loop.py          the loops: a person's turns, a pipe's lines
talk.py          asks the model, keeps what was said
conversation.py  … as plain data
heard.py         … one reply as it comes, and its figures
keeper.py        saves after every answer, under a name and as `last`
commands.py      what /help and its like do
attaching.py     … pictures, documents, sound and clips for the next question
tools.py         … tool declarations, and results that a person types
editor.py        where a person types: many lines, completion, toolbar
plain.py         … without drawing: dumb terminals, screen readers, pipes
completion.py    … what Tab offers
history.py       … what was typed before
toolbar.py       … the figures under the prompt
interrupts.py    Ctrl-C, and the terminal while an answer comes
"""
