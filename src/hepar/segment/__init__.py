"""Step 3: outlines the organs, the liver, its vessels and its lesions."""

from hepar.segment.engine import Engine, Progress, calls, described, engine, engines
from hepar.segment.external.licence import Consent, Licence
from hepar.segment.settings import OPERATING_POINTS, PRECISIONS, SegmentSettings
from hepar.segment.weights_file import weights_state

__all__ = [
    "OPERATING_POINTS", "PRECISIONS", "Consent", "Engine", "Licence", "Progress", "SegmentSettings", "calls",
    "described", "engine", "engines", "weights_state",
]  # fmt: skip
