"""The real huggingface_hub against tests/e2e/fake_hub.py: what the fake does, its client takes as a hub's."""
import hashlib
import os
import sys
import tempfile
import time
import unittest

os.environ.update(HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_PROGRESS_BARS="1", HF_HUB_DISABLE_TELEMETRY="1",
                  HF_HUB_DISABLE_IMPLICIT_TOKEN="1", HF_HOME=tempfile.mkdtemp(prefix="kakeya-hf-"))
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(SOURCE, "tests", "e2e"))

import huggingface_hub
from fake_hub import FakeHub, files_of
from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_download, hf_hub_url, snapshot_download
from huggingface_hub.errors import (GatedRepoError, HfHubHTTPError, RemoteEntryNotFoundError, RepositoryNotFoundError,
                                    RevisionNotFoundError)

TARGET = os.path.join(SOURCE, "models", "tiny", "target")
NAME = "kakeya/tiny-target"


class RealClient(unittest.TestCase):
    def setUp(self):
        self.hub = FakeHub(NAME, files_of(TARGET))
        self.addCleanup(self.hub.close)
        self.api = HfApi(endpoint=self.hub.address)
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)

    def get(self, name, **more):
        return hf_hub_download(NAME, name, endpoint=self.hub.address, cache_dir=self.dir.name, **more)

    def test_it_lists_with_sizes_and_digests(self):
        info = self.api.model_info(NAME, files_metadata=True)
        self.assertEqual(info.sha, self.hub.commit)
        for sibling in info.siblings:
            size, sha256, oid = self.hub.digest(sibling.rfilename)
            self.assertEqual((sibling.size, sibling.blob_id), (size, oid))
            self.assertEqual(sibling.lfs.sha256 if sibling.lfs else None, sha256 if sibling.rfilename.endswith(".safetensors") else None)

    def test_it_follows_the_pages_of_a_tree(self):
        self.hub.files = dict({"logs/%02d/log.json" % i: os.path.join(TARGET, "config.json") for i in range(30)}, **self.hub.files)
        self.hub.page = 7
        listed = [item.path for item in self.api.list_repo_tree(NAME, recursive=True) if hasattr(item, "size")]
        self.assertEqual(sorted(listed), sorted(self.hub.files))
        self.assertGreater(sum("cursor=" in path for path in self.hub.paths), 5)

    def test_it_downloads_a_snapshot_and_keeps_the_token_from_the_store(self):
        place = snapshot_download(NAME, endpoint=self.hub.address, cache_dir=self.dir.name, token="hf_secret")
        self.assertEqual(os.path.basename(place), self.hub.commit)
        for name in files_of(TARGET):
            with open(os.path.join(place, name), "rb") as f:
                self.assertEqual(hashlib.sha256(f.read()).hexdigest(), self.hub.digest(name)[1])
        self.assertEqual(set(self.hub.tokens), {"Bearer hf_secret"})
        self.assertEqual(set(self.hub.store_tokens), {None})

    def test_metadata_of_large_and_small_files(self):
        for name, index in (("model.safetensors", 1), ("config.json", 2)):
            metadata = get_hf_file_metadata(hf_hub_url(NAME, name, endpoint=self.hub.address), endpoint=self.hub.address)
            self.assertEqual((metadata.commit_hash, metadata.size, metadata.etag),
                             (self.hub.commit, self.hub.digest(name)[0], self.hub.digest(name)[index]))
            self.assertEqual(metadata.xet_file_data is not None, name == "model.safetensors")

    def test_refusals_have_the_reasons_it_knows(self):
        self.assertRaises(RevisionNotFoundError, self.get, "config.json", revision="v9")
        self.assertRaises(RemoteEntryNotFoundError, self.get, "none.json")
        with self.assertRaises(RepositoryNotFoundError):
            self.api.model_info("no/such")
        with self.assertRaises(RepositoryNotFoundError):
            self.api.model_info("no/such", token="hf_any")
        self.hub.gated = True
        for token in (False, "hf_stranger"):
            with self.assertRaises(GatedRepoError):
                get_hf_file_metadata(hf_hub_url(NAME, "config.json", endpoint=self.hub.address), token=token)
        self.hub.members.add("hf_member")
        self.get("config.json", token="hf_member")
        self.hub.gated, self.hub.private = False, True
        with self.assertRaises(RepositoryNotFoundError):
            self.api.model_info(NAME, token="hf_stranger")
        self.hub.private, self.hub.valid_tokens = False, {"hf_other"}
        with self.assertRaises(HfHubHTTPError) as caught:
            self.api.model_info(NAME, token="hf_stale")
        self.assertNotIsInstance(caught.exception, RepositoryNotFoundError)
        self.assertEqual(caught.exception.response.status_code, 401)

    def test_it_waits_for_the_reset_of_a_limit(self):
        self.hub.limited = [1]
        begin = time.monotonic()
        get_hf_file_metadata(hf_hub_url(NAME, "config.json", endpoint=self.hub.address), retry_on_errors=True)
        self.assertGreater(time.monotonic() - begin, 1.9)  # it adds a second
        self.hub.limited = [77]
        with self.assertRaisesRegex(HfHubHTTPError, "'resolvers' rate limit(.|\n)*Retry after 77 seconds .0/3000 requests"):
            get_hf_file_metadata(hf_hub_url(NAME, "config.json", endpoint=self.hub.address))


if __name__ == "__main__":
    print("huggingface_hub", huggingface_hub.__version__)
    unittest.main(verbosity=2)
