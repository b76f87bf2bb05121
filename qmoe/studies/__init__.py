"""Studies: one file per question; each adds Records to a run."""
