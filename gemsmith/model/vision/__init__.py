"""Sight: the towers of E2B to 31B (`tower`) and the towerless embedder of 12B (`embedder`)."""

from gemsmith.model.vision.embedder import VisionEmbedder
from gemsmith.model.vision.tower import VisionTower

__all__ = ["VisionEmbedder", "VisionTower"]
