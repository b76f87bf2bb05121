"""Routers on hardware and what stands in for it: experiments that need a vendor's target."""
