"""Scores. Sees only messages in and messages out, so that it measures a server as well as a model.

- `pebble.py`: held-out questions of pebble's curriculum, answered greedily and compared exactly
- `check.py`: whether a reply is the one that was wanted
- `table.py`: scores as a table or as JSON
- `progress.py`: a progress bar on standard error
"""
