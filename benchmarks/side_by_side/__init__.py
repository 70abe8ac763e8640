"""What `benchmarks/architectures.py` trains on, how it judges a network, and its table."""
