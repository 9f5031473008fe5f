"""How sure, how far, and why: calibrated distributions, thresholds, and whether a spectrum is familiar."""
