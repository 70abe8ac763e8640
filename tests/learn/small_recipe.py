"""The recipe of the training tests: a network of a few thousand weights, four or six steps."""

NETWORK = """
learning_rate = 1e-2
weight_decay = 1e-4
ema = 0.9
bf16 = false
blocks = [1, 1, 1, 1]
shape_shares = [1.0]
"""
SMALL = NETWORK + "seed = 3\nwidths = [8, 8, 8, 8, 8]\n"
PATCH = "shapes = [[16, 32, 32]]\n"
VIRTUAL = """
[[atlas]]
kind = "virtual"
variants = 1
share = 1.0
"""
