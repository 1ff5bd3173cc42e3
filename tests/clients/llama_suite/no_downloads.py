"""A pytest plug-in for llama.cpp's suite: it may not fetch models, since the server under test brings its own."""
import os
import sys


def pytest_configure(config):
    sys.path.insert(0, os.getcwd())
    import utils  # llama.cpp's
    utils.ServerPreset.load_all = staticmethod(lambda: None)
