"""Studies that need a vendor's target, as plans."""
