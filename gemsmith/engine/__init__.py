"""`Model` and `load`: requests to replies."""

from gemsmith.engine.model import Model, load

__all__ = ["Model", "load"]
