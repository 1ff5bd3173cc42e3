"""Tests of the program with a folder and an environment of their own."""
import json
import os
import tempfile
import unittest

from program import clean_env


class OwnFolder(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.addCleanup(self.place.cleanup)
        self.env = clean_env(self.place.name)

    def path(self, *parts):
        return os.path.join(self.place.name, *parts)

    def write(self, name, content):
        """The path of the file that now holds `content`, a text or what becomes JSON."""
        with open(self.path(name), "w") as f:
            f.write(content if isinstance(content, str) else json.dumps(content))
        return self.path(name)
