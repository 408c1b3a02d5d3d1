#!/usr/bin/env python3
"""Parquet files in the layouts of public sets, for tests/parquet.sh, written by pyarrow.

    make_parquet.py PICTURES FOLDER

PICTURES holds the files 0.png, 1.jpg, ...; their captions are "first of N", "second of N".
"""
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq

pictures, folder = sys.argv[1:]
names = sorted(os.listdir(pictures), key=lambda name: int(name.split(".")[0]))
keys = [name.split(".")[0] for name in names]
data = [open(os.path.join(pictures, name), "rb").read() for name in names]
first = ["first of " + key for key in keys]
second = ["second of " + key for key in keys]
structs = [{"bytes": one, "path": name} for one, name in zip(data, names)]


def write(path, table, **options):
    path = os.path.join(folder, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    pq.write_table(table, path, **options)


def columns(begin=0, end=len(keys)):
    """A struct of bytes and path, two columns of captions, others that mean nothing."""
    return pa.table({
        "image_id": pa.array([int(key) for key in keys[begin:end]]),
        "image": pa.array(structs[begin:end], pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        "caption1": first[begin:end],
        "caption2": second[begin:end],
        "url": ["https://nowhere"] * (end - begin),
        "score": pa.array([0.5] * (end - begin)),
    })


half = len(keys) // 2
write("columns.parquet", columns(), row_group_size=3, compression="snappy")
# Two files and one without rows; the second compressed otherwise and in one group.
write("split/train-00000-of-00002.parquet", columns(0, half), row_group_size=2, compression="zstd")
write("split/train-00001-of-00002.parquet", columns(half), compression="none")
write("split/empty.parquet", columns(0, 0))
# A list of captions, plain bytes, large types and dictionaries.
write("list.parquet", pa.table({
    "__key__": pa.array(keys).dictionary_encode(),
    "jpg": pa.array(data, pa.large_binary()),
    "captions": pa.array([[a, None, b] for a, b in zip(first, second)], pa.list_(pa.large_string())),
}), row_group_size=4)
write("dictionary.parquet", pa.table({
    "id": pa.array(keys, pa.large_string()),
    "png": pa.array(data, pa.binary()),
    "text": pa.array(first).dictionary_encode(),
    "second": pa.array(second).dictionary_encode(),
}), row_group_size=5)
# Captions in structs in lists, the picture inside another field, a point in a name.
write("nested.parquet", pa.table({
    "sample": pa.array([{"picture": struct, "name": key} for struct, key in zip(structs, keys)]),
    "conversations": pa.array([[{"from": "a", "caption": a}, {"from": "b", "caption": b}]
                               for a, b in zip(first, second)]),
    "dotted.name": first,
}), row_group_size=2)
# Paths beside the file; pictures that are not there; nulls of each kind.
write("paths.parquet", pa.table({"id": keys, "image": ["pictures/" + name for name in names], "text": first}))
nothing = [{"bytes": None, "path": None}, None]
write("nulls.parquet", pa.table({
    "id": keys,
    "image": pa.array(nothing + structs[2:], pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
    "caption1": first[:2] + [None] + first[3:],
}), row_group_size=3)
write("no_key.parquet", pa.table({"image": pa.array(structs), "text": first}))
# Captions alone, as the reference publishes its own.
write("captions/a.parquet", pa.table({"key": keys[:half], "caption1": first[:half], "caption2": second[:half]}))
write("captions/b.parquet", pa.table({"key": keys[half:], "caption1": first[half:], "caption2": second[half:]}))
# What must be refused: types, damage.
write("types.parquet", pa.table({"id": pa.array([[key] for key in keys]), "image": pa.array([1.5] * len(keys)), "text": first}))
write("checked.parquet", columns(), write_page_checksum=True, compression="none", use_dictionary=False)
whole = open(os.path.join(folder, "checked.parquet"), "rb").read()
at = whole.index(data[-1]) + len(data[-1]) // 2  # within a page of pictures
footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
damaged = {
    "damaged/crc.parquet": whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:],
    "damaged/cut.parquet": whole[:len(whole) // 2],
    "damaged/magic.parquet": whole[:-1] + b"X",
    "damaged/footer.parquet": whole[:footer] + b"\xff" * 40 + whole[footer + 40:],
    "damaged/empty.parquet": b"",
}
for name, content in damaged.items():
    os.makedirs(os.path.join(folder, "damaged"), exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(content)
