"""`Model` and `load`: requests to replies."""

from gemsmith.engine.loading import load
from gemsmith.engine.model import Model

__all__ = ["Model", "load"]
