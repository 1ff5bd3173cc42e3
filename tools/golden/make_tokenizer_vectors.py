#!/usr/bin/env python3
"""Golden ids for the tokenizer tests, computed by Hugging Face's `tokenizers` library (0.22.2 was used).

    tools/golden/make_tokenizer_vectors.py [--tiny models/tiny/target] [--out tests/golden/text]

Writes llama_style/tokenizer.json (trained here on the sentences below, in the layout of Llama-3: merges as pairs,
ignore_merges, digits in groups of three, a BOS template), llama_style.jsonl, tiny.jsonl and tiny.sha256.
A vector is {text, parse_special, ids, decoded, decoded_skip_special}. Same seed, same files.
"""
import argparse
import hashlib
import json
import pathlib
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

LLAMA3_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                r"|\s*[\r\n]+|\s+(?!\S)|\s+")
SENTENCES = [
    "The quick brown fox jumps over the lazy dog, and the dog doesn't mind; it's asleep.",
    "There are 12 apples, 345 pears and 6789 plums in the 3 baskets we'll carry home.",
    "def add(a, b):\n    return a + b\n\n\nprint(add(1, 23))  # 24\n",
    "for (int i = 0; i < 1000; ++i) {\n\tsum += values[i] * 0.5;\n}\r\n",
    "Größe, naïve café, señor, œuvre, Ünïcödé.",
    "Быстрая коричневая лиса прыгает через ленивую собаку.",
    "世界，你好！今天天气很好。 こんにちは世界。 안녕하세요 세계",
    "مرحبا بالعالم. שלום עולם. नमस्ते दुनिया. สวัสดีชาวโลก",
    "Emoji: 👩‍👩‍👧 🏳️‍🌈 👍🏽 🤗!!! ... --- === ///",
]
WHOLE_WORDS = ["Ġbaskets", "Ġunreachable", "hello"]  # in the vocabulary but behind no merge: only ignore_merges finds them

WORDS = ("the The I'm don't DON'T we'll WE'LL they've It's 'S 'ſ 'Re 'VE it'D I'D hello unreachable baskets world_1 "
         "foo.bar() == != -> // # {} [] a=b; return naïve café e\u0301 A\u030a 你好 世界 こんにちは 안녕하세요 "
         "\u1112\u1161\u11ab مرحبا שלום नमस्ते ไทย 👩‍👩‍👧 🏳️‍🌈 👍🏽 ½ ² ① Ⅷ ٣ १२ 12 123 1234 12345 3.14 1e5 ß ŉ ﬁ İ ı ǅ "
         "\u200b \u200d \ufeff \u00ad \u0301 \u0300\u0323 \u1e9b\u0323 \u212b \u2126 \ufb1d ® ™ … — “q” «».").split(" ")
SPACES = [" ", "  ", "   ", "\n", "\r\n", "\r", "\t", "\n\n", "\r\n\r\n", " \n", "\n ", "\u00a0", "\u3000", "\u2028",
          "\x0b", "\x0c", "\x85", "\u180e", "\u1680"]
RANGES = [(0x20, 0x7f), (0xa0, 0x250), (0x370, 0x600), (0x1e00, 0x2100), (0x2190, 0x2c00), (0x3040, 0x3100),
          (0x4e00, 0x9fff), (0xac00, 0xd7a3), (0xf900, 0xfb50), (0x1f300, 0x1fa00), (0x1d400, 0x1d800)]
CONTRACTIONS = ["s", "S", "ſ", "t", "T", "re", "RE", "rE", "ve", "m", "ll", "LL", "lL", "d", "D", "x"]


def piece(rng: random.Random, added: list[str]) -> str:
    kind = rng.random()
    if kind < 0.40:
        return rng.choice(WORDS)
    if kind < 0.62:
        return rng.choice(SPACES) * rng.choice([1, 1, 1, 2, 3, 7])
    if kind < 0.66:
        return chr(rng.choice(list(range(0x20)) + [0x7F, 0x80, 0x9F]))
    if kind < 0.75:
        return rng.choice(added)
    if kind < 0.79:
        return "".join(rng.choice("abcXYZ019.,'\" \n") for _ in range(rng.randint(1, 12)))
    if kind < 0.84:
        low, high = rng.choice(RANGES)
        return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 4)))
    if kind < 0.89:
        return "'" + rng.choice(CONTRACTIONS)
    if kind < 0.91:
        return rng.choice("aZ9 !\n") * rng.randint(10, 120)
    if kind < 0.94:
        cut = rng.choice(added)
        return cut[:rng.randint(1, len(cut))]
    if kind < 0.97:
        return "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 9)))
    return "".join(chr(rng.choice([0x300, 0x301, 0x323, 0x327, 0x315, 0x5B0])) for _ in range(rng.randint(1, 5)))


def write_vectors(path: pathlib.Path, tokenizer: Tokenizer, seed: int, count: int) -> None:
    rng = random.Random(seed)
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    texts = SENTENCES + ["", " ", "\n", "a"] + WORDS + SPACES
    while len(texts) < count:
        texts.append("".join(piece(rng, added) for _ in range(rng.randint(1, 14))))
    with path.open("w", encoding="ascii") as out:
        for text in texts:
            parse_special = rng.random() < 0.6
            tokenizer.encode_special_tokens = not parse_special
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            out.write(json.dumps({
                "text": text, "parse_special": parse_special, "ids": ids,
                "decoded": tokenizer.decode(ids, skip_special_tokens=False),
                "decoded_skip_special": tokenizer.decode(ids, skip_special_tokens=True)}) + "\n")


def make_llama_style(path: pathlib.Path) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3_SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(SENTENCES * 3, trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    layout = json.loads(tokenizer.to_str())
    for word in WHOLE_WORDS:
        layout["model"]["vocab"].setdefault(word, len(layout["model"]["vocab"]))
    layout["model"]["ignore_merges"] = True
    tokenizer = Tokenizer.from_str(json.dumps(layout))
    # The last three are no part of Llama-3: they exercise the flags that strip spaces and mind word borders.
    tokenizer.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
                                  "<|eot_id|>"])
    tokenizer.add_tokens([AddedToken("<|left|>", lstrip=True, normalized=False),
                          AddedToken("<|right|>", rstrip=True, normalized=False),
                          AddedToken("word", single_word=True, normalized=False)])
    bos = tokenizer.token_to_id("<|begin_of_text|>")
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|> $B",
                                      special_tokens=[("<|begin_of_text|>", bos)])])
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path), pretty=False)
    return tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--tiny", type=pathlib.Path, default=root / "models/tiny/target")
    parser.add_argument("--out", type=pathlib.Path, default=root / "tests/golden/text")
    parser.add_argument("--count", type=int, default=400)
    options = parser.parse_args()
    llama = make_llama_style(options.out / "llama_style/tokenizer.json")
    write_vectors(options.out / "llama_style.jsonl", llama, seed=3, count=options.count)
    tiny_bytes = (options.tiny / "tokenizer.json").read_bytes()
    write_vectors(options.out / "tiny.jsonl", Tokenizer.from_buffer(tiny_bytes), seed=4, count=options.count)
    (options.out / "tiny.sha256").write_text(hashlib.sha256(tiny_bytes).hexdigest() + "\n")


if __name__ == "__main__":
    main()
