"""Trains the guide: a small decoder of llama's architecture, from the files that make-corpus.ts wrote.

    python3 models/train/train.py [--data .cache/guide] [--tokens 24e6] [--minutes 0]

The same script on a CPU (Debian's python3-torch) and on a CUDA machine. It is seeded, writes a checkpoint every few
minutes, and goes on from the last one when it is started again with the same flags. It ends with
weights.safetensors: F32 tensors by their names in a GGUF file, which export.ts quantises.

What must agree with llama.cpp: interleaved RoPE, query head h reads key head h // (heads / kv_heads), RMSNorm with
epsilon 1e-5, SwiGLU, and the embedding as the output matrix.
"""

import argparse
import itertools
import json
import math
import os
import signal
import struct
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

EPSILON = 1e-5
ROPE_BASE = 10_000.0
HELD_BACK = 0.01
# Dialogues that are sorted by length at a time: batches stay mixed over a pass.
POOL = 4096


def flags():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=".cache/guide")
    parser.add_argument("--embedding", type=int, default=192)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--heads", type=int, default=3)
    parser.add_argument("--kv-heads", type=int, default=3)
    parser.add_argument("--feed-forward", type=int, default=512)
    parser.add_argument("--longest", type=int, default=1024, help="tokens of a dialogue; longer ones are left out")
    parser.add_argument("--batch", type=int, default=4096, help="tokens of a step, padding among them")
    parser.add_argument("--tokens", type=float, default=32e6, help="tokens to train on")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoint-s", type=float, default=180, help="seconds between checkpoints")
    parser.add_argument("--minutes", type=float, default=0, help="stop after so long, to go on later; 0 runs to the end")
    parser.add_argument("--weights", help="a checkpoint to begin from, with a schedule of one's own")
    parser.add_argument("--plain", action="store_true", help="do not compile")
    return parser.parse_args()


# --- data


class Corpus:
    """Dialogues, and batches of them that are about as long as each other, so that little is padding."""

    def __init__(self, folder, longest):
        self.tokens = np.fromfile(os.path.join(folder, "tokens.bin"), dtype="<u2")
        self.learned = np.fromfile(os.path.join(folder, "learned.bin"), dtype=np.uint8)
        lengths = np.fromfile(os.path.join(folder, "lengths.bin"), dtype="<u4").astype(np.int64)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        short = lengths <= longest
        self.lengths, self.starts = lengths[short], starts[short]
        back = max(1, int(len(self.lengths) * HELD_BACK))
        self.learning = np.arange(len(self.lengths) - back)
        self.held = np.arange(len(self.lengths) - back, len(self.lengths))

    def batches(self, dialogues, tokens):
        """Splits dialogues, sorted by length, into batches of at most so many tokens, padding among them."""
        batches, batch = [], []
        for one in dialogues[np.argsort(self.lengths[dialogues], kind="stable")]:
            if batch and (len(batch) + 1) * width(self.lengths[one]) > tokens:
                batches.append(batch)
                batch = []
            batch.append(one)
        return batches + [batch]

    def endless(self, tokens, seed):
        """What a step sees depends on the seed and the step alone: who resumes sees what he would have seen."""
        a_pass = 0
        while True:
            dice = np.random.default_rng([seed, a_pass])
            order = dice.permutation(self.learning)
            for at in range(0, len(order), POOL):
                batches = self.batches(order[at : at + POOL], tokens)
                dice.shuffle(batches)
                yield from batches
            a_pass += 1

    def load(self, batch, device):
        """Tokens by row; the places (rows one after the other) whose next token is learned; and those tokens."""
        longest = width(max(self.lengths[one] for one in batch))
        ids = np.zeros((len(batch), longest + 1), dtype=np.int64)
        wanted = np.zeros((len(batch), longest + 1), dtype=bool)
        for row, one in enumerate(batch):
            start, length = self.starts[one], self.lengths[one]
            ids[row, :length] = self.tokens[start : start + length]
            wanted[row, :length] = self.learned[start : start + length] == 1
        places = np.flatnonzero(wanted[:, 1:])
        target = ids[:, 1:].reshape(-1)[places]
        return tuple(torch.from_numpy(part).to(device) for part in (ids[:, :-1].copy(), places, target))


def width(length):
    """Few different widths, for each is compiled."""
    return -(-int(length) // 32) * 32


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
    """Plain on a CPU: for dialogues of 200 tokens PyTorch's own function takes three times as long there."""
    if q.device.type == "cuda":
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return ((q @ k.transpose(-2, -1)) / math.sqrt(q.shape[-1]) + mask).softmax(-1).to(v.dtype) @ v


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
        angle = torch.arange(shape.longest).float()[:, None] / ROPE_BASE ** (torch.arange(0, head, 2).float() / head)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)
        future = torch.full((shape.longest, shape.longest), float("-inf")).triu(1)
        self.register_buffer("future", future.bfloat16(), persistent=False)

    def forward(self, ids, places):
        """Logits at the places alone, for the rest of a dialogue is read and not written. Padding is future."""
        length = ids.shape[1]
        cos, sin, mask = self.cos[:length], self.sin[:length], self.future[:length, :length]
        x = self.token_embd(ids)
        for block in self.blk:
            x = block(x, cos, sin, mask)
        x = x.flatten(0, 1)[places]
        return F.linear(self.output_norm(x), self.token_embd.weight)


# --- training


class Muon(torch.optim.Optimizer):
    """Momentum made orthogonal, for the matrices between embedding and output.

    https://kellerjordan.github.io/posts/muon/; scaled as https://arxiv.org/abs/2502.16982 has it, so that a rate means
    the same for every shape and is comparable to Adam's.
    """

    def __init__(self, parameters, weight_decay):
        super().__init__(parameters, {"lr": 0.0, "momentum": 0.95, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                memory = self.state[p].setdefault("momentum", torch.zeros_like(p))
                memory.lerp_(p.grad, 1 - group["momentum"])
                ahead = p.grad.lerp(memory, group["momentum"])
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(orthogonal(ahead), alpha=-group["lr"] * 0.2 * math.sqrt(max(p.shape)))


def orthogonal(matrix):
    """The nearest matrix whose singular values are all about 1, by five steps of Newton and Schulz."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.bfloat16().T if tall else matrix.bfloat16()
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return (x.T if tall else x).to(matrix.dtype)


def loss_of(model, ids, places, target):
    with torch.autocast(ids.device.type, dtype=torch.bfloat16):
        logits = model(ids, places)
    return F.cross_entropy(logits.float(), target)


def rate_at(part, highest):
    """Up over the first fiftieth, then down to nothing, a line each: https://arxiv.org/abs/2502.15938"""
    return highest * min(part / 0.02 + 1e-3, (1 - part) / 0.98)


def checked(model, corpus, tokens, device):
    with torch.no_grad():
        batches = corpus.batches(corpus.held, tokens)
        losses = [loss_of(model, *corpus.load(batch, device)).item() for batch in batches[:: 1 + len(batches) // 8]]
    return sum(losses) / len(losses)


def optimizers_of(model):
    """What is between embedding and output goes to Muon, the rest to Adam."""
    named = list(model.named_parameters())
    hidden = [p for name, p in named if name.startswith("blk.") and p.dim() > 1]
    embedding = [p for name, p in named if not name.startswith("blk.") and p.dim() > 1]
    norms = [p for _, p in named if p.dim() < 2]
    groups = [{"params": embedding, "weight_decay": 0.05}, {"params": norms, "weight_decay": 0.0}]
    return [Muon(hidden, weight_decay=0.05), torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95))]


def train(shape):
    torch.set_num_threads(shape.threads)
    torch.manual_seed(shape.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with open(os.path.join(shape.data, "corpus.json")) as file:
        vocabulary = json.load(file)["vocabulary"]
    corpus = Corpus(shape.data, shape.longest)
    model = Guide(shape, vocabulary).to(device)
    optimizers = optimizers_of(model)
    kept = os.path.join(shape.data, "checkpoint.pt")
    if shape.weights and not os.path.exists(kept):
        restore(torch.load(shape.weights, map_location=device, weights_only=True), model, optimizers)
    step, seen = resume(kept, model, optimizers, shape, device)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters / 1e6:.2f} M parameters on {device}, from step {step}, {seen / 1e6:.1f} M tokens", flush=True)
    # Half as fast again where there is a compiler; PyTorch 1.13 has none.
    compiled = torch.compile(loss_of, dynamic=True) if hasattr(torch, "compile") and not shape.plain else loss_of
    began = saved = told_at = time.monotonic()
    first = seen
    asked_to_stop = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: asked_to_stop.append(True))
    for batch in itertools.islice(corpus.endless(shape.batch, shape.seed), step, None):
        is_late = shape.minutes and time.monotonic() - began > shape.minutes * 60
        if seen >= shape.tokens or is_late or asked_to_stop:
            break
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate_at(seen / shape.tokens, shape.rate)
            optimizer.zero_grad(set_to_none=True)
        loss = compiled(model, *corpus.load(batch, device))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        step += 1
        seen += int(corpus.lengths[batch].sum())
        now = time.monotonic()
        if now - told_at > 20:
            speed = (seen - first) / (now - began)
            left = (shape.tokens - seen) / speed / 60
            print(f"{seen / 1e6:.1f} of {shape.tokens / 1e6:.0f} M tokens, loss {loss.item():.4f}, {speed:.0f} tokens/s, {left:.0f} min left", flush=True)
            told_at = now
        if now - saved > shape.checkpoint_s:
            save(kept, model, optimizers, shape, step, seen)
            write_weights(os.path.join(shape.data, "weights.safetensors"), model, shape)
            saved = now
            print(f"{seen / 1e6:.1f} M tokens, held back {checked(model, corpus, shape.batch, device):.4f}", flush=True)
    save(kept, model, optimizers, shape, step, seen)
    write_weights(os.path.join(shape.data, "weights.safetensors"), model, shape)
    print(f"{seen / 1e6:.1f} M tokens, held back {checked(model, corpus, shape.batch, device):.4f}", flush=True)


def told(shape):
    """What a run must share with the one that it goes on from."""
    free = {"data", "threads", "checkpoint_s", "minutes", "plain", "tokens", "weights"}
    return {key: value for key, value in vars(shape).items() if key not in free}


def save(path, model, optimizers, shape, step, seen):
    states = [optimizer.state_dict() for optimizer in optimizers]
    state = {"model": model.state_dict(), "optimizers": states, "step": step, "seen": seen, "told": told(shape)}
    torch.save(state, path + ".part")
    os.replace(path + ".part", path)


def resume(path, model, optimizers, shape, device):
    if not os.path.exists(path):
        return 0, 0
    state = torch.load(path, map_location=device, weights_only=True)
    if state["told"] != told(shape):
        raise SystemExit(f"{path} is of a run with other flags: {state['told']}. Remove it, or give the same flags.")
    restore(state, model, optimizers)
    return state["step"], state["seen"]


def restore(state, model, optimizers):
    model.load_state_dict(state["model"])
    for optimizer, kept in zip(optimizers, state["optimizers"]):
        optimizer.load_state_dict(kept)


def write_weights(path, model, shape):
    """https://github.com/huggingface/safetensors#format"""
    metadata = {
        "embedding": shape.embedding,
        "layers": shape.layers,
        "heads": shape.heads,
        "kvHeads": shape.kv_heads,
        "feedForward": shape.feed_forward,
        "context": max(1024, shape.longest),
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
