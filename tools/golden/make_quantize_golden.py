#!/usr/bin/env python3
"""Makes tests/golden/quantize: what llama.cpp's converter and quantiser make of the checkpoints that
tests/e2e/test_cli_quantize.py gives to ours.

    tools/golden/make_quantize_golden.py --llama-cpp SOURCES --quantize PROGRAM --out tests/golden/quantize

SOURCES is a checkout of llama.cpp with conversion/ and gguf-py/ (needs torch, transformers, sentencepiece). PROGRAM
is called as PROGRAM IN OUT NUMBER (llama_ftype) and quantises with default parameters: a few lines around
llama_model_quantize. The converter knows tokenizers by a digest, so it is told the splitting rule.
Per file: metadata (token lists as digests), and type, shape and digest of every tensor.
"""
import argparse
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests" / "e2e"))
import checkpoints
import gguf_file

TINY = REPO / "models" / "tiny"
FILE_TYPES = {"q8_0": 7, "q4_0": 2, "q4_k_m": 15}


def convert(sources, rule, arguments):
    script = ("import sys, runpy\n"
              f"sys.path[:0] = [{str(sources)!r}, {str(sources / 'gguf-py')!r}]\n"
              "import conversion.base as base\n"
              f"base.TextModel.get_vocab_base_pre = lambda self, tokenizer: {rule!r}\n"
              f"sys.argv = {['convert'] + [str(a) for a in arguments]!r}\n"
              f"runpy.run_path({str(sources / 'convert_hf_to_gguf.py')!r}, run_name='__main__')\n")
    subprocess.run([sys.executable, "-c", script], check=True)


def summary(path):
    file = gguf_file.GgufFile(path)
    metadata = {}
    for key, value in file.metadata.items():
        if isinstance(value, (list, str)) and len(value) > 40:
            value = {"sha256": hashlib.sha256(json.dumps(value).encode()).hexdigest()}
        metadata[key] = value
    return {"metadata": metadata, "tensors": file.tensors}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-cpp", type=pathlib.Path, required=True)
    parser.add_argument("--quantize", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        checkpoints.write_llama(work / "llama", TINY / "target")
        jobs = {"tiny": ("qwen2", [TINY / "target"]), "llama": ("llama-bpe", [work / "llama"]),
                "draft": ("qwen2", [TINY / "draft", "--target-model-dir", TINY / "target"])}
        for name, (rule, sources) in jobs.items():
            plain = work / f"{name}.gguf"
            convert(args.llama_cpp, rule, sources + ["--outtype", "bf16", "--outfile", plain])
            types = FILE_TYPES if name != "draft" else {"q8_0": 7}
            for type_name, number in types.items():
                out = work / f"{name}-{type_name}.gguf"
                subprocess.run([args.quantize, plain, out, str(number)], check=True)
                text = json.dumps(summary(out), indent=0, sort_keys=True)
                (args.out / f"{name}-{type_name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
