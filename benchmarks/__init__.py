"""Benchmarks: may import every other room of the project, are imported by none."""
