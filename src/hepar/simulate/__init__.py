"""Virtual patients with known truth: anatomy, contrast, scanner, DICOM."""
