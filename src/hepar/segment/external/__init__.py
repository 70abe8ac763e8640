"""Somebody else's networks as engines: run in the user's own environment, or, for ONNX, by OpenVINO."""

from hepar.segment.external.licence import Consent, Licence
from hepar.segment.external.mapping import EngineFile, find, load, own, shipped
from hepar.segment.external.outliner import External

__all__ = ["Consent", "EngineFile", "External", "Licence", "find", "load", "own", "shipped"]
