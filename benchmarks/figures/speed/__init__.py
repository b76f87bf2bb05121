"""Speed of the router step and of training, beside peers that run in the same process.

`python -m benchmarks.figures.speed` prints ratios of medians: one core, one thread, float64,
interleaved. A peer is timed only after its numbers agree with ours.
"""
