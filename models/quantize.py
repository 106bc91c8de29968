"""Makes a smaller copy of a GGUF file, by the quantiser of the llama.cpp that npm ci installs.

    python3 models/quantize.py mine-F16.gguf mine-Q4_K_M.gguf

The end of the new file's name says its type. The one that is read should be F32, F16 or BF16.
"""
import ctypes
import glob
import os
import re
import sys

# llama_ftype of llama.h
TYPES = {"Q4_0": 2, "Q8_0": 7, "Q5_0": 8, "Q2_K": 10, "Q3_K_M": 12, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18}


class Params(ctypes.Structure):
    """llama_model_quantize_params: its first two fields, and room for the others, which keep their defaults."""

    _fields_ = [("nthread", ctypes.c_int32), ("ftype", ctypes.c_int32), ("others", ctypes.c_uint64 * 32)]


def main(source, target):
    kind = re.search(r"[-._](" + "|".join(TYPES) + r")\.gguf$", target)
    if kind is None:
        sys.exit(f"{target} has to end with -TYPE.gguf, and TYPE is one of {', '.join(TYPES)}")
    if os.path.exists(target):
        sys.exit(f"{target} is there already")
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = glob.glob(f"{root}/node_modules/@node-llama-cpp/*/bins/{system()}/libllama.*so")
    if not found:
        sys.exit(f"there is no llama.cpp for {system()} in {root}/node_modules: run npm ci")
    folder = os.path.dirname(found[0])
    base = ctypes.CDLL(f"{folder}/libggml-base.so", ctypes.RTLD_GLOBAL)
    ggml = ctypes.CDLL(glob.glob(f"{folder}/libggml.*so")[0], ctypes.RTLD_GLOBAL)
    ggml.ggml_backend_load_all_from_path(folder.encode())
    llama = ctypes.CDLL(found[0])
    llama.llama_model_quantize_default_params.restype = Params
    params = llama.llama_model_quantize_default_params()
    params.ftype = TYPES[kind[1]]
    unfinished = target + ".part"
    failed = llama.llama_model_quantize(source.encode(), unfinished.encode(), ctypes.byref(params))
    if failed:
        if os.path.exists(unfinished):
            os.remove(unfinished)
        sys.exit(f"llama.cpp could not quantise {source}: see above")
    os.rename(unfinished, target)


def system():
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    return f"{os.uname().sysname.lower()}-{machine}"


if len(sys.argv) != 3:
    sys.exit(__doc__)
main(sys.argv[1], sys.argv[2])
