"""Pictures for the benchmarks of what feeds training, and the same work by Python's loaders (benchmarks/feed.sh).

feed.py crops FOLDER OUTPUT COUNT            random crops of about a megapixel of the large pictures below FOLDER, as JPEG
feed.py pillow FOLDER SIZE PROCESSES         decoding and transform by Pillow: one JSON line
feed.py tfdata FOLDER BATCH NUM              pictures of TFRecord shards in shuffled batches by tf.data: one JSON line
"""
import io
import json
import multiprocessing
import random
import sys
import time
from pathlib import Path


def crops(folder, output, count):
    from PIL import Image
    rng = random.Random(1)
    large = []
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".jpg", ".png"):
            with Image.open(path) as image:
                if min(image.size) >= 1400:
                    large.append(path)
    output.mkdir(parents=True)
    opened = [Image.open(path).convert("RGB") for path in large]
    for number in range(count):
        image = opened[number % len(opened)]
        ratio = rng.choice([1, 4 / 3, 3 / 2, 3 / 2, 16 / 9, 3 / 4, 2 / 3])
        area = 2**20 * rng.uniform(0.8, 1.25)
        width, height = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
        scale = rng.uniform(1, min(3, image.width / width, image.height / height))
        left, top = rng.randint(0, image.width - int(width * scale)), rng.randint(0, image.height - int(height * scale))
        box = (left, top, left + int(width * scale), top + int(height * scale))
        image.resize((width, height), Image.LANCZOS, box=box).save(
            output / f"{number:04}.jpg", quality=rng.randint(75, 95), subsampling=2)


def transform(task):
    from PIL import Image
    data, size = task
    image = Image.open(io.BytesIO(data)).convert("RGB")
    width, height = image.size
    new = (size, round(height * (size / width))) if width <= height else (round(width * (size / height)), size)
    image = image.resize(new, Image.BILINEAR)
    left, top = (new[0] - size) // 2, (new[1] - size) // 2
    return len(image.crop((left, top, left + size, top + size)).tobytes())


def transform_all(tasks):
    return sum(map(transform, tasks))


def pillow(folder, size, processes):
    import PIL
    files = [(path.read_bytes(), size) for path in sorted(folder.glob("*.jpg"))]
    parts = [files[process::processes] for process in range(processes)]
    with multiprocessing.Pool(processes) as pool:
        pool.map(transform_all, [part[:2] for part in parts])
        begin = time.perf_counter()
        pool.map(transform_all, parts, chunksize=1)
        seconds = time.perf_counter() - begin
    print(json.dumps({"program": f"Pillow {PIL.__version__}", "pictures_per_second": len(files) / seconds}))


def tfdata(folder, batch, num):
    import tensorflow as tf
    files = sorted(str(path) for path in folder.glob("*.tfrecord-*"))
    features = {"image": tf.io.FixedLenFeature([], tf.string), "caption": tf.io.VarLenFeature(tf.string)}

    def parse(record):
        example = tf.io.parse_single_example(record, features)
        captions = tf.sparse.to_dense(example["caption"], default_value="")
        chosen = tf.random.uniform([], maxval=tf.size(captions), dtype=tf.int32)
        return tf.io.decode_png(example["image"], channels=3), captions[chosen]

    data = tf.data.Dataset.from_tensor_slices(files).shuffle(len(files))
    data = data.interleave(tf.data.TFRecordDataset, cycle_length=16, block_length=16, num_parallel_calls=tf.data.AUTOTUNE)
    data = data.repeat().shuffle(1000).map(parse, num_parallel_calls=tf.data.AUTOTUNE).batch(batch).prefetch(2)
    batches = iter(data)
    for _ in range(20):
        next(batches)
    begin = time.perf_counter()
    for _ in range(num // batch):
        next(batches)
    rate = num // batch * batch / (time.perf_counter() - begin)
    print(json.dumps({"program": f"tf.data {tf.__version__}", "pictures_per_second": rate}))


command, arguments = sys.argv[1], sys.argv[2:]
if command == "crops":
    crops(Path(arguments[0]), Path(arguments[1]), int(arguments[2]))
elif command == "pillow":
    pillow(Path(arguments[0]), int(arguments[1]), int(arguments[2]))
else:
    tfdata(Path(arguments[0]), int(arguments[1]), int(arguments[2]))
