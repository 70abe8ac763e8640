"""hepar: from a folder of liver scans to a checked, measured, explained report."""

__version__ = "0.1.0"
