"""What the literature says: meta-analysis of diagnostic accuracy."""
