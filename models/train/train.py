"""Trains the guide: a small decoder of llama's architecture, from the files that make-corpus.ts wrote.

    python3 models/train/train.py [--data .cache/guide] [--tokens 24e6] [--minutes 0]

The same script on a CPU (Debian's python3-torch) and on a CUDA machine. It is seeded, writes a checkpoint every few
minutes, and goes on from the last one when it is started again with the same flags. It ends with
weights.safetensors: F32 tensors by their names in a GGUF file, which export.ts quantises.

What must agree with llama.cpp: interleaved RoPE, query head h reads key head h // (heads / kv_heads), RMSNorm with
epsilon 1e-5, SwiGLU, and the embedding as the output matrix.
"""

import argparse
import json
import math
import os
import struct
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

EPSILON = 1e-5
ROPE_BASE = 10_000.0
HELD_BACK = 0.01


def flags():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=".cache/guide")
    parser.add_argument("--embedding", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--kv-heads", type=int, default=4)
    parser.add_argument("--feed-forward", type=int, default=640)
    parser.add_argument("--sequence", type=int, default=1024, help="tokens of a packed sequence")
    parser.add_argument("--batch", type=int, default=16, help="sequences of a step")
    parser.add_argument("--tokens", type=float, default=24e6, help="tokens to train on, padding among them")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint-s", type=float, default=180, help="seconds between checkpoints")
    parser.add_argument("--minutes", type=float, default=0, help="stop after so long, to go on later; 0 runs to the end")
    return parser.parse_args()


# --- data


def packed(folder, sequence):
    """Whole dialogues side by side: tokens, which of them are learned, and the number of the dialogue they are of."""
    tokens = np.fromfile(os.path.join(folder, "tokens.bin"), dtype="<u2")
    learned = np.fromfile(os.path.join(folder, "learned.bin"), dtype=np.uint8)
    lengths = np.fromfile(os.path.join(folder, "lengths.bin"), dtype="<u4").astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    rows = []
    row, room = [], sequence
    for start, length in zip(starts.tolist(), lengths.tolist()):
        if length > sequence:
            continue
        if length > room:
            rows.append(row)
            row, room = [], sequence
        row.append((start, length))
        room -= length
    if row:
        rows.append(row)
    ids = np.zeros((len(rows), sequence), dtype=np.uint16)
    wanted = np.zeros((len(rows), sequence), dtype=np.uint8)
    # Padding is dialogue 0 and sees itself alone, so that no row of the attention is empty.
    dialogue = np.zeros((len(rows), sequence), dtype=np.uint16)
    for nth, row in enumerate(rows):
        at = 0
        for number, (start, length) in enumerate(row, 1):
            ids[nth, at : at + length] = tokens[start : start + length]
            wanted[nth, at : at + length] = learned[start : start + length]
            dialogue[nth, at : at + length] = number
            at += length
    return ids, wanted, dialogue


def batch_of(rows, picked, device):
    ids, wanted, dialogue = (torch.from_numpy(part[picked].astype(np.int64)).to(device) for part in rows)
    # The first token of a dialogue is never learned, so no target lies in another dialogue than its input.
    target = torch.where(wanted[:, 1:] == 1, ids[:, 1:], -100)
    return ids[:, :-1], target, dialogue[:, :-1]


# --- model


class Norm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        wide = x.float()
        return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + EPSILON)).type_as(x) * self.weight


def turned(x, cos, sin):
    """RoPE over interleaved pairs, as ggml has it for llama: nothing is permuted on export."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2).type_as(x)


def attended(q, k, v, mask):
    """Debian's PyTorch 1.13 has no function of its own for it yet."""
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    weights = (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).masked_fill(~mask, float("-inf"))
    return weights.softmax(-1) @ v


class Block(nn.Module):
    def __init__(self, shape):
        super().__init__()
        size, inner = shape.embedding, shape.feed_forward
        self.heads, self.kv_heads, self.head = shape.heads, shape.kv_heads, size // shape.heads
        linear = lambda columns, rows: nn.Linear(columns, rows, bias=False)
        self.attn_norm, self.ffn_norm = Norm(size), Norm(size)
        self.attn_q, self.attn_output = linear(size, size), linear(size, size)
        self.attn_k, self.attn_v = linear(size, self.head * self.kv_heads), linear(size, self.head * self.kv_heads)
        self.ffn_gate, self.ffn_up, self.ffn_down = linear(size, inner), linear(size, inner), linear(inner, size)

    def forward(self, x, cos, sin, mask):
        rows, length, size = x.shape
        h = self.attn_norm(x)
        split = lambda y, heads: y.view(rows, length, heads, self.head).transpose(1, 2)
        q = turned(split(self.attn_q(h), self.heads), cos, sin)
        k = turned(split(self.attn_k(h), self.kv_heads), cos, sin)
        v = split(self.attn_v(h), self.kv_heads)
        shared = self.heads // self.kv_heads
        k, v = k.repeat_interleave(shared, dim=1), v.repeat_interleave(shared, dim=1)
        seen = attended(q, k, v, mask)
        x = x + self.attn_output(seen.transpose(1, 2).reshape(rows, length, size))
        h = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(h)) * self.ffn_up(h))


class Guide(nn.Module):
    def __init__(self, shape, tokens):
        super().__init__()
        self.token_embd = nn.Embedding(tokens, shape.embedding)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = Norm(shape.embedding)
        for name, parameter in self.named_parameters():
            if parameter.dim() < 2:
                continue
            # What is added to the residual stream starts smaller, the more layers add to it.
            into_stream = name.endswith(("attn_output.weight", "ffn_down.weight"))
            nn.init.normal_(parameter, 0, 0.02 / math.sqrt(2 * shape.layers) if into_stream else 0.02)
        head = shape.embedding // shape.heads
        angle = torch.arange(shape.sequence).float()[:, None] / ROPE_BASE ** (torch.arange(0, head, 2).float() / head)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, ids, dialogue):
        length = ids.shape[1]
        cos, sin = self.cos[:length], self.sin[:length]
        # A token sees its own dialogue up to itself. RoPE is relative: positions need not begin anew.
        past = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
        mask = (past & (dialogue[:, :, None] == dialogue[:, None, :]))[:, None]
        x = self.token_embd(ids)
        for block in self.blk:
            x = block(x, cos, sin, mask)
        return F.linear(self.output_norm(x), self.token_embd.weight)


# --- training


def loss_of(model, batch, device):
    ids, target, dialogue = batch
    with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
        logits = model(ids, dialogue)
    return F.cross_entropy(logits.float().reshape(-1, logits.shape[-1]), target.reshape(-1), ignore_index=-100)


def rate_at(step, steps, highest):
    warm = max(1, steps // 50)
    if step < warm:
        return highest * (step + 1) / warm
    return highest * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))))


def picked_at(step, batch, rows, seed):
    """The rows of a step depend on the seed and the step alone: who resumes sees what he would have seen."""
    a_pass = max(1, rows // batch)
    order = np.random.default_rng([seed, step // a_pass]).permutation(rows)
    at = (step % a_pass) * batch
    return order[at : at + batch]


def checked(model, rows, batch, device):
    model.eval()
    with torch.no_grad():
        count = len(rows[0])
        losses = [
            loss_of(model, batch_of(rows, np.arange(at, min(at + batch, count)), device), device).item()
            for at in range(0, min(count, batch * 8), batch)
        ]
    model.train()
    return sum(losses) / max(1, len(losses))


def optimizer_of(model):
    matrices = [p for p in model.parameters() if p.dim() > 1]
    norms = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": norms, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95))


def train(shape):
    torch.set_num_threads(shape.threads)
    torch.manual_seed(shape.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with open(os.path.join(shape.data, "corpus.json")) as file:
        corpus = json.load(file)
    rows = packed(shape.data, shape.sequence)
    back = max(1, int(len(rows[0]) * HELD_BACK))
    learning, held = tuple(part[:-back] for part in rows), tuple(part[-back:] for part in rows)
    model = Guide(shape, corpus["vocabulary"]).to(device)
    optimizer = optimizer_of(model)
    steps = max(1, int(shape.tokens / (shape.batch * shape.sequence)))
    kept = os.path.join(shape.data, "checkpoint.pt")
    step = resume(kept, model, optimizer, shape, device)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters / 1e6:.2f} M parameters, {steps} steps on {device}, from step {step}", flush=True)
    began = saved = time.monotonic()
    first = step
    while step < steps:
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, steps, shape.rate)
        picked = picked_at(step, shape.batch, len(learning[0]), shape.seed)
        loss = loss_of(model, batch_of(learning, picked, device), device)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 50 == 0:
            speed = (step - first) * shape.batch * shape.sequence / (time.monotonic() - began)
            print(f"{step}/{steps} loss {loss.item():.4f}, {speed:.0f} tokens/s", flush=True)
        if time.monotonic() - saved > shape.checkpoint_s:
            save(kept, model, optimizer, shape, step)
            saved = time.monotonic()
            print(f"{step}/{steps} held back {checked(model, held, shape.batch, device):.4f}", flush=True)
        if shape.minutes and time.monotonic() - began > shape.minutes * 60:
            break
    save(kept, model, optimizer, shape, step)
    print(f"{step}/{steps} held back {checked(model, held, shape.batch, device):.4f}", flush=True)
    write_weights(os.path.join(shape.data, "weights.safetensors"), model, shape)


def told(shape):
    """What a run must share with the one that it goes on from."""
    free = {"data", "threads", "checkpoint_s", "minutes"}
    return {key: value for key, value in vars(shape).items() if key not in free}


def save(path, model, optimizer, shape, step):
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "told": told(shape)}
    torch.save(state, path + ".part")
    os.replace(path + ".part", path)


def resume(path, model, optimizer, shape, device):
    if not os.path.exists(path):
        return 0
    state = torch.load(path, map_location=device, weights_only=True)
    if state["told"] != told(shape):
        raise SystemExit(f"{path} is of a run with other flags: {state['told']}. Remove it, or give the same flags.")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]


def write_weights(path, model, shape):
    """https://github.com/huggingface/safetensors#format"""
    metadata = {
        "embedding": shape.embedding,
        "layers": shape.layers,
        "heads": shape.heads,
        "kvHeads": shape.kv_heads,
        "feedForward": shape.feed_forward,
        "context": max(1024, shape.sequence),
    }
    header = {"__metadata__": {key: str(value) for key, value in metadata.items()}}
    tensors = [(name, p.detach().float().cpu().contiguous().numpy()) for name, p in model.named_parameters()]
    offset = 0
    for name, values in tensors:
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path + ".part", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, values in tensors:
            file.write(values.astype("<f4").tobytes())
    os.replace(path + ".part", path)
    print(f"{path}: {8 + len(text) + offset} bytes", flush=True)


if __name__ == "__main__":
    train(flags())
