"""2,000 pictures of every kind, by a seeded generator, and what Pillow makes of them; then whether ours is the same, bit for bit.

pillow.py write FOLDER COUNT        pictures/, captions.jsonl
pillow.py compare FOLDER SHARD SIZE every record of SHARD (i1 data build folder) beside Pillow's transform
"""
import io
import json
import multiprocessing
import random
import struct
import sys
import warnings
import zlib
from collections import Counter
from pathlib import Path

import numpy
from PIL import Image, ImageFile, ImageFilter

ImageFile.LOAD_TRUNCATED_IMAGES = True
warnings.simplefilter("ignore")


def side(rng):
    return rng.choice([1, 2, 3, 7, 8, 9, 15, 16, 17]) if rng.random() < 0.1 else 1 + int(600 * rng.random() ** 3)


def plain_picture(rng):
    """RGB: waves, edges and noise, so that chroma, ringing and rounding all matter."""
    width, height = side(rng), side(rng)
    if rng.random() < 0.05:  # 200 : 1
        width, height = rng.choice([(1 + width % 4, 200 * (1 + width % 4)), (600, 3)])
    values = numpy.random.default_rng(rng.randrange(2**32))
    y, x = numpy.mgrid[0:height, 0:width]
    waves = [127 + 120 * numpy.sin(x * rng.uniform(0, 0.4) + y * rng.uniform(0, 0.4) + rng.uniform(0, 6)) for _ in range(3)]
    rgb = numpy.stack(waves, -1) + values.normal(0, rng.choice([0, 5, 40]), (height, width, 3))
    rgb[y * 3 > height + x] *= 0.4
    return Image.fromarray(rgb.clip(0, 255).astype(numpy.uint8))


def alpha_of(image, rng):
    ramp = numpy.linspace(0, 255, image.width * image.height).astype(numpy.uint8).reshape(image.height, image.width)
    image = image.convert("RGBA")
    image.putalpha(Image.fromarray(ramp if rng.random() < 0.7 else 255 * (ramp % 2)))
    return image


def jpeg(rng):
    image = plain_picture(rng)
    image = image.convert(rng.choice(["RGB"] * 6 + ["L", "CMYK"]))
    options = {"quality": rng.randint(5, 100), "progressive": rng.random() < 0.3, "optimize": rng.random() < 0.3}
    if image.mode == "RGB":
        options["subsampling"] = rng.choice([0, 1, 2])
    return "JPEG", image, options


def png(rng):
    image = plain_picture(rng)
    kind = rng.randrange(9)
    if kind == 0:
        image = image.convert("1")
    elif kind == 1:
        image = image.convert("L")
    elif kind == 2:
        image = alpha_of(image, rng).convert("LA")
    elif kind == 3:
        image = alpha_of(image, rng)
    elif kind == 4:
        grey = numpy.asarray(image.convert("L")).astype(numpy.int32) * rng.choice([1, 2, 257])
        image = Image.fromarray(grey, "I")
    elif kind in (5, 6):
        image = image.quantize(rng.choice([2, 3, 4, 9, 16, 200, 256]))
    options = {"compress_level": rng.choice([1, 6])}
    if kind == 5:
        options["transparency"] = rng.randrange(2)
    if kind == 6:
        options["bits"] = 8
    return "PNG", image, options


def png_by_hand(rng):
    """What Pillow does not write: interlace, 16 bits a channel, 2 and 4 bits of grey."""
    image = numpy.asarray(plain_picture(rng))
    height, width = image.shape[:2]
    depth, colour = rng.choice([(8, 2), (16, 2), (16, 0), (2, 0), (4, 0), (16, 4), (16, 6)])
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    samples = numpy.concatenate([image, image[..., :1]], -1)[..., :channels].astype(numpy.uint32)
    samples = samples * 257 + 3 * (samples % 5) if depth == 16 else samples >> (8 - depth)
    samples = samples.clip(0, 2**depth - 1)

    def packed(part):
        lines = b""
        for row in part:
            flat = row.reshape(-1)
            if depth == 16:
                line = flat.astype(">u2").tobytes()
            elif depth == 8:
                line = flat.astype(numpy.uint8).tobytes()
            else:
                bits = numpy.unpackbits(flat.astype(numpy.uint8)[:, None], axis=1)[:, 8 - depth:]
                line = numpy.packbits(bits.reshape(-1)).tobytes()
            lines += b"\0" + line
        return lines

    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    is_interlaced = rng.random() < 0.7
    data = b"".join(packed(samples[y::dy, x::dx]) for y, x, dy, dx in passes if samples[y::dy, x::dx].size) if is_interlaced else packed(samples)

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(is_interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def webp(rng):
    image = plain_picture(rng)
    if rng.random() < 0.4:
        image = alpha_of(image, rng)
    return "WEBP", image, {"lossless": rng.random() < 0.4, "quality": rng.randint(5, 100), "method": 0}


def bmp(rng):
    image = plain_picture(rng)
    return "BMP", rng.choice([image, image.convert("L"), image.convert("1"), image.quantize(256)]), {}


def tiff(rng):
    image = plain_picture(rng)
    grey16 = Image.fromarray((numpy.asarray(image.convert("L")).astype(numpy.uint16) * rng.choice([1, 2, 257])))
    image = rng.choice([image, image.convert("L"), image.convert("1"), image.quantize(200), image.convert("CMYK"), alpha_of(image, rng), grey16])
    packing = rng.choice(["raw", "tiff_deflate", "tiff_lzw", "packbits"])
    return "TIFF", image, {"compression": packing}


def gif(rng):
    return "GIF", plain_picture(rng).quantize(rng.choice([2, 16, 256])), {"interlace": rng.randrange(2)}


# Where ours is meant to differ, and how many of the 2,000 do. A progressive JPEG that is cut inside the tables between two
# scans is black in Pillow, and so is a TIFF cut inside its directory: ours leaves them out. Where the colour table of a TIFF
# is cut, libtiff takes the indices for grey, and Pillow refuses the file.
EXPLAINED = {"only Pillow, which decodes nothing": 5, "only ours, a TIFF whose colour table is cut": 1}

KINDS = [jpeg] * 8 + [png] * 4 + [png_by_hand] * 2 + [webp] * 3 + [bmp, tiff, tiff, gif]
SUFFIX = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "TIFF": "tif", "GIF": "png"}


def write_one(task):
    folder, number = task
    rng = random.Random(number)
    made = KINDS[number % len(KINDS)](rng)
    if isinstance(made, bytes):
        data, suffix = made, "png"
    else:
        buffer = io.BytesIO()
        made[1].save(buffer, made[0], **made[2])
        data, suffix = buffer.getvalue(), SUFFIX[made[0]]
    name = made[0].lower() if not isinstance(made, bytes) else "png"
    if rng.random() < 0.08:
        data = data[: rng.randrange(len(data))]
        name += "_cut"
    (folder / "pictures" / f"{number:05}_{name}.{suffix}").write_bytes(data)


def transform(data, size):
    """As the reference does it; None where Pillow refuses the file."""
    try:
        image = Image.open(io.BytesIO(data)).convert("RGB")
    except Exception:
        return None
    width, height = image.size
    if width <= height:
        new = (size, round(height * (size / width)))
    else:
        new = (round(width * (size / height)), size)
    image = image.resize(new, Image.BILINEAR)
    left, top = (new[0] - size) // 2, (new[1] - size) // 2
    return image.crop((left, top, left + size, top + size))


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def fields(data):
    """Length-delimited fields of a protobuf message: (number, bytes)."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        size, at = varint(data, at)
        yield tag >> 3, data[at:at + size]
        at += size


def records(path):
    data, at = path.read_bytes(), 0
    while at < len(data):
        size = struct.unpack_from("<Q", data, at)[0]
        features = next(fields(data[at + 12:at + 12 + size]))[1]
        example = {}
        for _, entry in fields(features):
            (_, key), (_, value) = fields(entry)
            kind, values = next(fields(value))
            if kind == 1:
                example[key.decode()] = [item for _, item in fields(values)]
        yield example["image_name"][0].decode(), example["image"][0]
        at += size + 16


def compare_one(task):
    path, ours, size = task
    data = path.read_bytes()
    expected = transform(data, size)
    if expected is None or ours is None:
        fault = "same" if expected is ours else "only ours" if ours else "only Pillow"
    else:
        ours = numpy.asarray(Image.open(io.BytesIO(ours))).astype(int)
        most = numpy.abs(numpy.asarray(expected).astype(int) - ours).max()
        fault = f"by up to {most}" if most > 0 else "same"
    if fault == "only ours" and path.name.endswith("_cut.tif"):
        fault += ", a TIFF whose colour table is cut"
    elif fault == "only Pillow" and "_cut" in path.name and expected.getextrema() in (((0, 0),) * 3, ((255, 255),) * 3):
        fault += ", which decodes nothing"
    return path.name, fault


def main():
    command, folder = sys.argv[1], Path(sys.argv[2])
    with multiprocessing.Pool(2) as pool:
        if command == "write":
            (folder / "pictures").mkdir(parents=True)
            pool.map(write_one, [(folder, number) for number in range(int(sys.argv[3]))], chunksize=20)
            keys = [path.stem for path in (folder / "pictures").iterdir()]
            (folder / "captions.jsonl").write_text("".join(json.dumps({"key": key, "caption": key}) + "\n" for key in keys))
            return
        ours, size = dict(records(Path(sys.argv[3]))), int(sys.argv[4])
        tasks = [(path, ours.get(path.stem), size) for path in sorted((folder / "pictures").iterdir())]
        found = [result for result in pool.imap(compare_one, tasks, chunksize=20)]
    counts = Counter(fault for _, fault in found)
    for name, fault in found:
        if fault != "same" and fault not in EXPLAINED:
            print(f"{name}: {fault}")
    print(f"Pillow {Image.__version__}: {len(tasks)} pictures, {len(ours)} decoded; {dict(counts)}")
    sys.exit({fault: number for fault, number in counts.items() if fault != "same"} != EXPLAINED)


main()
