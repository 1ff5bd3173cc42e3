"""The tiny pair in PyTorch: tokenizer, networks, training, reference decoding, measurements.

Runs on torch 1.13 and 2.x, on a CPU. It is the second implementation that the C++ engine is compared with, so it
shares no code with it. Commands that use it: ../train.py, ../gates.py, ../evaluate.py, ../../golden/make_tiny_golden.py.
"""
