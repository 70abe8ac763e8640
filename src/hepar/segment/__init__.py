"""Step 3: outlines the organs, the liver, its vessels and its lesions."""

from hepar.segment.engine import ENGINES, Engine, Progress, engine
from hepar.segment.settings import PRECISIONS, SegmentSettings
from hepar.segment.weights_file import weights_state

__all__ = ["ENGINES", "PRECISIONS", "Engine", "Progress", "SegmentSettings", "engine", "weights_state"]
