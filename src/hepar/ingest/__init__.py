"""Step 1: files to a Study.

`read_study` reads one examination with its voxels, `inspect` tells what is there from the headers alone. pydicom,
nibabel and SimpleITK are imported when a file needs them.
"""

from hepar.ingest.inspection import Inspection, SeriesSummary, StudySummary
from hepar.ingest.read import inspect, read_study
from hepar.ingest.settings import IngestSettings

__all__ = ["IngestSettings", "Inspection", "SeriesSummary", "StudySummary", "inspect", "read_study"]
