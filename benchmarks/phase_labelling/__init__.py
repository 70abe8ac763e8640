"""The parts of `benchmarks/phase_labels.py`: patients, draws, the fitted model, its judgement."""
