"""kakeya-llm doctor: all is well here, and it sees what is made wrong."""
import json
import os
import shutil
import tempfile
import unittest

from program import TINY, clean_env, run


class Doctor(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.addCleanup(self.place.cleanup)
        self.env = clean_env(self.place.name)

    def checks(self, *args, code=0, env=None):
        out = run("doctor", "--json", *args, env=dict(self.env, **(env or {})))
        self.assertEqual(out.code, code, out.out + out.err)
        found = out.json()
        self.assertEqual(found["fail"], sum(c["level"] == "fail" for c in found["checks"]))
        for check in found["checks"]:
            self.assertTrue(check["found"], check)
            self.assertEqual(check["level"] == "ok", check["next_step"] is None, check)
        return {c["name"]: c for c in found["checks"]}

    def copy(self):
        share = os.path.join(self.place.name, "share")
        shutil.copytree(TINY, os.path.join(share, "models", "tiny"))
        return share, os.path.join(share, "models", "tiny")

    def test_finds_nothing_wrong_here(self):
        checks = self.checks()
        variants = checks["cpu"]["detail"]["variants"]
        for isa in variants[1:]:
            self.assertEqual(checks["channels on " + isa]["detail"]["different"], [])
            self.assertGreaterEqual(len(checks["channels on " + isa]["detail"]["equal"]), 10)
            self.assertLess(checks["logits on " + isa]["detail"]["relative_difference"], 2e-3)
        tau = checks["acceptance length"]["detail"]
        self.assertEqual(tau["found"], tau["expected"])
        for kv in ("bf16", "e8-q10"):
            self.assertEqual(checks["draft changes no token, " + kv]["level"], "ok")
        self.assertGreater(checks["memory bandwidth"]["detail"]["gbs"], 0.1)
        self.assertIn("int8 peak", checks)
        self.assertNotIn("memory bandwidth", self.checks("--quick"))

    def test_compares_with_pytorch_and_can_fail(self):
        share, tiny = self.copy()
        self.checks("--quick", "--share-dir", share)
        path = os.path.join(tiny, "golden.json")
        with open(path) as f:
            golden = json.load(f)
        golden["cases"][0]["acceptance_lengths"][0] += 1
        with open(path, "w") as f:
            json.dump(golden, f)
        checks = self.checks("--quick", "--share-dir", share, code=1)
        self.assertEqual(checks["acceptance length"]["level"], "fail")
        self.assertEqual(checks["draft changes no token, bf16"]["level"], "ok")
        with open(path, "w") as f:
            f.write("{}")
        self.assertIn("golden.json", self.checks("--quick", "--share-dir", share, code=1)["golden data"]["found"])

    def test_sees_weights_that_changed(self):
        share, tiny = self.copy()
        path = os.path.join(tiny, "draft", "model.safetensors")
        with open(path, "r+b") as f:
            size = os.path.getsize(path)
            f.seek(size // 2)
            f.write(bytes(4096))
        checks = self.checks("--quick", "--share-dir", share, code=1)
        self.assertEqual(checks["acceptance length"]["level"], "fail")
        self.assertEqual(checks["draft changes no token, bf16"]["level"], "ok")  # a bad draft costs speed alone
        os.remove(path)
        self.assertEqual(self.checks("--quick", "--share-dir", share, code=1)["embedded pair"]["level"], "fail")

    def test_sees_the_configuration(self):
        config = os.path.join(self.place.name, "c.toml")
        with open(config, "w") as f:
            f.write("threads = 1\n")
        checks = self.checks("--quick", env={"KAKEYA_CONFIG": config, "KAKEYA_ISA": "scalar"})
        self.assertIn(config, checks["configuration"]["found"])
        self.assertIn("KAKEYA_ISA", checks["configuration"]["detail"]["variables"])
        if len(checks["cpu"]["detail"]["variants"]) > 1:
            self.assertEqual(checks["cpu"]["level"], "warn")
        self.assertIn(os.path.join(self.place.name, "data"), checks["model store"]["found"])
        self.assertEqual(self.checks("--quick", "--share-dir", "/no/share", code=1)["share directory"]["level"], "fail")

    def test_opens_a_model_of_the_users(self):
        checks = self.checks("--quick", "--model", os.path.join(TINY, "target"), "--draft", os.path.join(TINY, "draft"))
        self.assertIn("the draft draft fits, blocks of 8", checks["model target"]["found"])
        self.assertEqual((checks["pair"]["level"], checks["pair"]["detail"]["notes"]), ("ok", []))
        checks = self.checks("--quick", "--model", "tiny", "--draft", "random:qwen3-8b-dflash:q4_0", code=1)
        self.assertIn("does not fit the target: hidden_size is 4096, the target has 256", checks["pair"]["found"])
        self.assertNotIn("model tiny", checks)  # nothing was loaded for it
        checks = self.checks("--quick", "--model", "/no/model", code=1)
        self.assertEqual(checks["model /no/model"]["level"], "fail")
        out = run("doctor", "--quick", env=self.env)
        self.assertIn(" 0 failed", out.out)
        self.assertIn("ok    acceptance length", out.out)


if __name__ == "__main__":
    unittest.main(verbosity=2)
