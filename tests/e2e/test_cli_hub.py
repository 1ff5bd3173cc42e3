"""kakeya-llm pull against a hub that behaves as huggingface.co does (docs/formats/hub.md): redirects to signed
addresses, reasons of refusals, limits, pages."""
import os
import tempfile
import time
import unittest

from fake_hub import FakeHub, files_of
from program import TINY, clean_env, run

TARGET = os.path.join(TINY, "target")
NAME = "kakeya/tiny-target"


class Hub(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        self.hub = FakeHub(NAME, files_of(TARGET))
        self.addCleanup(self.hub.close)
        self.env = dict(clean_env(self.dir.name), KAKEYA_HOME=os.path.join(self.dir.name, "store"), HF_ENDPOINT=self.hub.address,
                        HF_TOKEN="")

    def pull(self, *args):
        out = run("pull", NAME, "--json", *args, env=self.env)
        self.assertEqual(out.code, 0, out.err)
        return out.json()

    def refused(self, *words, args=(), code=1, again=False):
        """`again`: the same command may help, and says so."""
        out = run("pull", NAME, *args, env=self.env)
        self.assertEqual(out.code, code, out.out + out.err)
        for word in words:
            self.assertIn(word, out.err)
        self.assertEqual("the same command continues" in out.err, again, out.err)
        return out.err

    def test_the_token_stays_at_the_hub_and_files_come_from_signed_addresses(self):
        self.env["HF_TOKEN"] = "hf_secret"
        out = self.pull()
        self.assertEqual(out["commit"], self.hub.commit)
        self.assertEqual(set(self.hub.tokens), {"Bearer hf_secret"})
        self.assertTrue(self.hub.store_tokens)
        self.assertEqual(set(self.hub.store_tokens), {None})
        for file in out["files"]:
            self.assertEqual(file["sha256"], self.hub.digest(file["path"])[1])

    def test_an_address_whose_signature_ran_out_is_asked_for_again(self):
        self.hub.bad_signatures = 1
        self.pull("--include", "*.safetensors")
        self.assertEqual(len(self.hub.store_tokens), 2)

    def test_another_digest_beside_the_redirect_is_refused_before_the_bytes(self):
        self.hub.other_etag = "e" * 64
        self.refused("X-Linked-Etag " + "e" * 64, self.hub.digest("model.safetensors")[1], args=("--include", "*.safetensors"))
        self.assertLess(self.hub.sent, 1_000_000)

    def test_gated_models_say_what_to_do(self):
        self.hub.gated = True
        self.refused("status 401", "gated", "accept its terms at %s/%s" % (self.hub.address, NAME), "HF_TOKEN")
        self.env["HF_TOKEN"] = "hf_stranger"
        self.refused("status 403", "not in the authorized list", "account has no access")
        self.hub.members.add("hf_stranger")
        self.pull()

    def test_private_and_missing_models_and_revisions_are_told_apart(self):
        self.hub.private = True
        self.refused("status 401", "no such model, or a private one", "HF_TOKEN")
        self.env["HF_TOKEN"] = "hf_stranger"
        self.refused("status 404", "Repository not found", "cannot see")
        self.hub.private = False
        self.refused("status 404", "no such revision", "--revision", args=("--revision", "v9"))
        self.hub.valid_tokens = {"hf_other"}
        self.refused("status 401", "the token is not valid", self.hub.address + "/settings/tokens")
        self.hub.valid_tokens = None
        self.hub.disabled = True
        self.refused("status 403", "disabled this repository")

    def test_a_used_up_limit_is_waited_for_until_its_reset(self):
        self.hub.limited = [1]
        begin = time.monotonic()
        self.pull("--include", "config.json")
        self.assertGreater(time.monotonic() - begin, 1.0)
        self.hub.limited = [4000] * 5
        self.refused("status 429", "'resolvers'", "4000 s", "HF_TOKEN gives a higher one",
                     args=("--include", "tokenizer.json"), again=True)

    def test_a_name_out_of_the_repository_is_refused(self):
        self.hub.files = dict(self.hub.files, **{"../evil.json": os.path.join(TARGET, "config.json")})
        self.refused("../evil.json")

    def test_large_repositories_come_in_pages(self):
        config = os.path.join(TARGET, "config.json")
        self.hub.files = dict({"logs/%04d/log.json" % i: config for i in range(1200)}, **self.hub.files)
        for self.hub.mirrored in (False, True):
            self.hub.paths.clear()
            out = self.pull("--force")
            self.assertEqual(sorted(f["path"] for f in out["files"]), sorted(files_of(TARGET)))
            pages = [p for p in self.hub.paths if "/tree/" in p]
            self.assertEqual(len(pages), 3, pages)  # 1200 files and as many folders, 1000 a page

    def test_a_page_of_another_host_is_not_asked_for(self):
        config = os.path.join(TARGET, "config.json")
        self.hub.files = dict({"logs/%04d.json" % i: config for i in range(1200)}, **self.hub.files)
        self.env["HF_TOKEN"] = "hf_secret"
        real, self.hub.address = self.hub.address, self.hub.store_address
        self.refused("next page at", "expected one of " + real)
        self.assertEqual(self.hub.store_tokens, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
