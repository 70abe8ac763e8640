"""Sizes of balls, ellipsoids and merged pairs, cut into uneven voxels."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hepar.errors import Fault
from hepar.measure import axial_diameters, long_axis_mm, max_3d_diameter, volume_ml
from hepar.record import Geometry
