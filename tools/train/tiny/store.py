"""Files that are either whole or absent: JSON, NumPy archives, checkpoints, and Hugging Face model directories."""
from __future__ import annotations

import json
import os
import shutil
import struct
from typing import Any, Callable, Dict, Optional, Union

import numpy as np
import torch

from .config import Config, stop_ids
from .model import Draft, Target

State = Dict[str, torch.Tensor]


def write_whole(path: str, write: Callable[[str], None]) -> None:
    """`write` fills a temporary file, which then takes the name in one step."""
    write(path + ".tmp")
    os.replace(path + ".tmp", path)


def write_json(path: str, value: Any, indent: Optional[int] = 1) -> None:
    def put(tmp):
        with open(tmp, "w", encoding="utf-8") as f:
            json.dump(value, f, ensure_ascii=False, indent=indent)
            f.write("\n")
    write_whole(path, put)


def read_json(path: str) -> Any:
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def write_npz(path: str, **arrays) -> None:
    def put(tmp):
        with open(tmp, "wb") as f:
            np.savez_compressed(f, **arrays)
    write_whole(path, put)


def write_checkpoint(path: str, value: Dict[str, Any]) -> None:
    write_whole(path, lambda tmp: torch.save(value, tmp))


def to_bf16(x: np.ndarray) -> np.ndarray:
    """float32 array -> uint16 bits, round to nearest even."""
    u = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((u + 0x7FFF + ((u >> 16) & 1)) >> 16).astype(np.uint16)


def write_safetensors(path: str, state: State) -> None:
    """bfloat16, tensors in name order."""
    header: Dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at, blobs = 0, []
    for name in sorted(state):
        b = to_bf16(state[name].detach().cpu().numpy()).tobytes()
        header[name] = {"dtype": "BF16", "shape": list(state[name].shape), "data_offsets": [at, at + len(b)]}
        at += len(b)
        blobs.append(b)
    h = json.dumps(header, separators=(",", ":")).encode()
    h += b" " * (-len(h) % 8)

    def put(tmp):
        with open(tmp, "wb") as f:
            f.write(struct.pack("<Q", len(h)) + h + b"".join(blobs))
    write_whole(path, put)


def read_safetensors(path: str) -> State:
    with open(path, "rb") as f:
        n, = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(n)), f.read()
    out = {}
    for name, e in header.items():
        if name == "__metadata__":
            continue
        if e["dtype"] != "BF16":
            raise ValueError("%s: tensor %s: found dtype %s, expected BF16" % (path, name, e["dtype"]))
        bits = np.frombuffer(data[slice(*e["data_offsets"])], np.uint16).astype(np.uint32) << 16
        out[name] = torch.from_numpy(bits.view(np.float32).reshape(e["shape"]).copy())
    return out


def export(folder: str, state: State, cfg: Config, tokenizer: str = "") -> None:
    """Writes a Hugging Face directory; `tokenizer` names the folder whose files are copied in (targets only)."""
    os.makedirs(folder, exist_ok=True)
    write_safetensors(os.path.join(folder, "model.safetensors"), state)
    write_json(os.path.join(folder, "config.json"), cfg, indent=2)
    if "dflash_config" not in cfg:
        write_json(os.path.join(folder, "generation_config.json"),
                   {"do_sample": False, "eos_token_id": list(stop_ids(cfg)), "pad_token_id": cfg["pad_token_id"]}, 2)
    for name in ("tokenizer.json", "tokenizer_config.json") if tokenizer else ():
        shutil.copyfile(os.path.join(tokenizer, name), os.path.join(folder, name))


def load(folder: str, dtype: str = "float32") -> Union[Target, Draft]:
    """Target or drafter from a directory; which one is told by its config. Frozen."""
    cfg = read_json(os.path.join(folder, "config.json"))
    m = (Draft if "dflash_config" in cfg else Target)(cfg)
    m.load_state_dict(read_safetensors(os.path.join(folder, "model.safetensors")))
    m.dtype = getattr(torch, dtype)
    for p in m.parameters():
        p.requires_grad_(False)
    return m.eval()
