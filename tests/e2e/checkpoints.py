"""Small random checkpoints in Hugging Face layout, the same bytes on every machine. Also used by
tools/golden/make_quantize_golden.py, so a change here needs new golden files."""
import json
import os
import random
import shutil

# High bytes of bf16: both signs, magnitudes from 0.002 to 0.12.
HIGH_BYTES = bytes((b & 0x80) | (0x3B + b % 3) for b in range(256))


def bf16_noise(rng, count):
    data = bytearray(rng.randbytes(2 * count))
    data[1::2] = bytes(data[1::2]).translate(HIGH_BYTES)
    return bytes(data)


def write_safetensors(path, tensors):
    """tensors: name -> (shape, bf16 bytes)."""
    header, at = {}, 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for _, data in tensors.values():
            f.write(data)


def layer_shapes(at, hidden, inner, q, kv):
    return {
        at + "input_layernorm.weight": [hidden],
        at + "self_attn.q_proj.weight": [q, hidden],
        at + "self_attn.k_proj.weight": [kv, hidden],
        at + "self_attn.v_proj.weight": [kv, hidden],
        at + "self_attn.o_proj.weight": [hidden, q],
        at + "post_attention_layernorm.weight": [hidden],
        at + "mlp.gate_proj.weight": [inner, hidden],
        at + "mlp.up_proj.weight": [inner, hidden],
        at + "mlp.down_proj.weight": [hidden, inner],
    }


def write_llama(directory, tokenizer, hidden=256, inner=320, layers=9, heads=4, kv_heads=2, head_dim=32):
    """A Llama with 3.1 scaling and its own output matrix; rows of `inner` values fit no block of 256. `tokenizer` is
    the directory of the embedded target; its splitting rule becomes Llama 3's."""
    os.makedirs(directory, exist_ok=True)
    rng = random.Random(77)
    shapes = {"model.embed_tokens.weight": [4096, hidden]}
    for i in range(layers):
        shapes.update(layer_shapes(f"model.layers.{i}.", hidden, inner, heads * head_dim, kv_heads * head_dim))
    shapes["model.norm.weight"] = [hidden]
    shapes["lm_head.weight"] = [4096, hidden]
    tensors = {}
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        tensors[name] = (shape, bf16_noise(rng, count))
    write_safetensors(os.path.join(directory, "model.safetensors"), tensors)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 4096, "hidden_size": hidden,
        "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "head_dim": head_dim, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
        "max_position_embeddings": 4096, "tie_word_embeddings": False, "hidden_act": "silu", "eos_token_id": 4066,
        "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                         "original_max_position_embeddings": 64},
    }
    with open(os.path.join(directory, "config.json"), "w", encoding="utf-8") as f:
        json.dump(config, f)
    with open(os.path.join(tokenizer, "tokenizer.json"), encoding="utf-8") as f:
        tokens = json.load(f)
    split = tokens["pre_tokenizer"]["pretokenizers"][0]["pattern"]
    split["Regex"] = split["Regex"].replace(r"|\p{N}|", r"|\p{N}{1,3}|")
    tokens["normalizer"] = None
    tokens["model"]["ignore_merges"] = True
    with open(os.path.join(directory, "tokenizer.json"), "w", encoding="utf-8") as f:
        json.dump(tokens, f)
    shutil.copy(os.path.join(tokenizer, "tokenizer_config.json"), directory)
    return config
