#!/usr/bin/env python3
"""Makes tests/golden/affine: matrices quantised by MLX, laid out like a checkpoint of mlx-community.

    tools/golden/make_affine_golden.py tests/golden/affine

model.safetensors holds per module NAME.weight, NAME.scales, NAME.biases (mx.quantize) and NAME.expected, the values
mx.dequantize gives in f32 from the scales and biases as stored. config.json holds the settings. Needs mlx (any
back end).
"""
import json
import pathlib
import sys

import mlx.core as mx

OUT, IN = 6, 256
DTYPES = {"bf16": mx.bfloat16, "f16": mx.float16, "f32": mx.float32}


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    tensors, settings = {}, {"group_size": 64, "bits": 4, "mode": "affine"}
    key = mx.random.key(5)
    for bits in (4, 8):
        for group in (32, 64, 128):
            for dtype_name, dtype in DTYPES.items():
                name = f"b{bits}.g{group}.{dtype_name}"
                key, own = mx.random.split(key)
                w = mx.random.normal((OUT, IN), key=own) * 0.05 + 0.01
                w[3] = 0.0  # a constant row has scale 0 or the smallest one
                w[4] = w[4] * 1000.0
                codes, scales, biases = mx.quantize(w.astype(dtype), group_size=group, bits=bits, mode="affine")
                expected = mx.dequantize(codes, scales.astype(mx.float32), biases.astype(mx.float32),
                                         group_size=group, bits=bits, mode="affine")
                tensors |= {f"{name}.weight": codes, f"{name}.scales": scales, f"{name}.biases": biases,
                            f"{name}.expected": expected}
                settings[name] = {"group_size": group, "bits": bits}
    mx.save_safetensors(str(directory / "model.safetensors"), tensors, metadata={"format": "mlx"})
    config = {"architectures": ["Qwen3ForCausalLM"], "vocab_size": OUT, "hidden_size": IN, "intermediate_size": IN,
              "num_hidden_layers": 1, "num_attention_heads": 4, "max_position_embeddings": 64,
              "quantization": settings, "quantization_config": settings}
    (directory / "config.json").write_text(json.dumps(config, indent=1) + "\n")


if __name__ == "__main__":
    main()
