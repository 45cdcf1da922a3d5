"""From a name to a model: embedded weights, local paths, random stand-ins.

    names.py   what a name leads to
    pebble/    the weights that come with the package

Opens no weights; that is for `formats`.
"""

from gemsmith.hub.names import Resolved, available_names, resolve

__all__ = ["Resolved", "available_names", "resolve"]
