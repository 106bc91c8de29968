"""Takes a model over to a larger vocabulary, so that it goes on learning instead of beginning again.

    python3 models/train/grow.py OLD NEW

OLD and NEW are folders as make-corpus.ts and train.py write them: OLD has a vocabulary and a checkpoint, NEW a vocabulary
that holds all the tokens of OLD's (`make-corpus.ts --vocabulary OLD/vocabulary.json`). NEW gets a checkpoint, from which
train.py goes on with the flags of OLD's run. A token of both keeps its row of the embedding; a new one starts from
what it is made of, and a random vector of the usual length beside it that tells it from its like.
"""

import json
import os
import sys

import torch

EMBEDDING = "token_embd.weight"


def vocabulary_of(folder):
    with open(os.path.join(folder, "vocabulary.json")) as file:
        return json.load(file)


def rows_of(old, new):
    """For each new token the old rows that it starts from: its own, or those of the two that are merged into it."""
    row_of = {token: row for row, token in enumerate(old["tokens"])}
    halves = {merge.replace(" ", ""): merge.split(" ") for merge in new["merges"]}

    def rows(token):
        return [row_of[token]] if token in row_of else [row for half in halves[token] for row in rows(half)]

    return [rows(token) for token in new["tokens"]]


def grown(weights, rows):
    usual = weights.std()
    return torch.stack([
        weights[of[0]] if len(of) == 1 else weights[of].mean(0) + torch.randn(weights.shape[1]) * usual for of in rows
    ])


def moments(kept, rows):
    """What Adam remembers of a row, nothing of a new one."""
    return torch.stack([kept[of[0]] if len(of) == 1 else torch.zeros_like(kept[0]) for of in rows])


def main(old, new):
    torch.manual_seed(1)
    rows = rows_of(vocabulary_of(old), vocabulary_of(new))
    state = torch.load(os.path.join(old, "checkpoint.pt"), weights_only=True)
    before = state["model"][EMBEDDING].shape
    state["model"][EMBEDDING] = grown(state["model"][EMBEDDING], rows)
    for optimizer in state["optimizers"]:
        for memory in optimizer["state"].values():
            for name, value in memory.items():
                if value.shape == before:
                    memory[name] = moments(value, rows)
    path = os.path.join(new, "checkpoint.pt")
    torch.save(state, path + ".part")
    os.replace(path + ".part", path)
    print(f"{path}: {len(rows)} tokens, {sum(len(of) > 1 for of in rows)} of them new, at {state['seen'] / 1e6:.1f} M")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
