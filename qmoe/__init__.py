"""qmoe: routers for a Mixture of Experts, quantum and classical, trained and compared fairly."""

__version__ = "0.1.0"
