#!/usr/bin/env python3
"""Writes tests/gguf: a file by the gguf package and what its tensors hold. Needs gguf and safetensors."""
import sys
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import save_file

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "tests/gguf")
random = np.random.default_rng(1)
matrix = random.standard_normal((3, 64), dtype=np.float32)
matrix[1, :32] = 0  # a block of zeros
matrix[1, 32:] = np.arange(32) - 15.5  # ties between two steps
matrix[2, :32] *= 1e-6  # a scale that float16 holds badly
matrix[2, 32:] *= 1e4

writer = gguf.GGUFWriter(folder / "package.gguf", "i1")
writer.add_name("golden")
writer.add_uint64("golden.uint64", 1 << 40)
writer.add_int32("golden.int32", -7)
writer.add_float32("golden.float32", 0.5)
writer.add_float64("golden.float64", 0.1)
writer.add_bool("golden.bool", True)
writer.add_array("golden.array", [3, 1, 2])
writer.add_array("golden.words", ["a", "\u00e9"])
writer.add_string("golden.text", "two\nlines")
expected = {"source": matrix}
for type in (Type.F32, Type.F16, Type.BF16, Type.Q8_0, Type.Q4_0):
    data = gguf.quantize(matrix, type)
    writer.add_tensor(type.name, data, raw_dtype=type)
    expected[type.name] = gguf.dequantize(data, type).astype(np.float32)
vector = np.arange(5, dtype=np.float32)
cube = random.standard_normal((2, 3, 5), dtype=np.float32)
writer.add_tensor("vector", vector)
writer.add_tensor("cube", cube)
expected.update(vector=vector, cube=cube)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
save_file(expected, folder / "expected.safetensors")
