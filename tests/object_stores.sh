#!/usr/bin/env bash
# `i1 data build parquet` from s3:// and gs:// addresses, against servers of PyPI that speak as those stores do (moto,
# gcp-storage-emulator). By hand, for it installs them: tests/object_stores.sh build/release/i1 - arrow
i1=$(realpath "$1") pyarrow=$(realpath "$3")
. "$(dirname "$0")/common.sh"
cd "$(dirname "$0")/.."
unset http_proxy https_proxy all_proxy HTTPS_PROXY ALL_PROXY
python=${I1_STORES_PYTHON:-}  # one that has them, to save the installation
if [[ -z $python ]]; then
  python3 -m venv "$scratch/venv"
  "$scratch/venv/bin/pip" install -q 'moto[s3,server]' gcp-storage-emulator
  python=$scratch/venv/bin/python
fi
mkdir "$scratch/pictures"
number=0
for name in jpeg_444.jpg shape_64x64.png webp_lossy_odd.webp jpeg_420_odd.jpg; do
  cp "goldens/data/images/inputs/$name" "$scratch/pictures/$number.${name##*.}"
  number=$((number + 1))
done
PYTHONPATH=$pyarrow python3 tests/make_parquet.py "$scratch/pictures" "$scratch/files"

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
s3=$(free_port) gs=$(free_port)
"$python" -m moto.server -H 127.0.0.1 -p "$s3" >"$scratch/s3.log" 2>&1 &
servers=$!
"$(dirname "$python")/gcp-storage-emulator" start --host=127.0.0.1 --port="$gs" --in-memory --default-bucket=bucket >"$scratch/gs.log" 2>&1 &
servers+=" $!"
disown -a
trap 'kill $servers; rm -rf "$scratch"' EXIT
for _ in $(seq 200); do
  (exec 3<>"/dev/tcp/127.0.0.1/$s3" && exec 4<>"/dev/tcp/127.0.0.1/$gs") 2>/dev/null && break
  sleep 0.1
done
export AWS_ACCESS_KEY_ID=key AWS_SECRET_ACCESS_KEY=secret AWS_DEFAULT_REGION=us-east-1 AWS_ENDPOINT_URL=http://127.0.0.1:$s3
gs_query="?scheme=http&endpoint_override=127.0.0.1%3A$gs"
PYTHONPATH=$pyarrow python3 - "$scratch" "$s3" "$gs" <<'END'
import os, sys
from pyarrow import fs
folder, s3, gs = sys.argv[1:]
stores = [fs.S3FileSystem(scheme="http", endpoint_override="127.0.0.1:" + s3, allow_bucket_creation=True),
          fs.GcsFileSystem(anonymous=True, scheme="http", endpoint_override="127.0.0.1:" + gs)]
stores[0].create_dir("bucket")
for store in stores:
    for path in ("files/split/train-00000-of-00002.parquet", "files/split/train-00001-of-00002.parquet", "files/paths.parquet",
                 "files/captions/a.parquet", "files/captions/b.parquet", "files/list.parquet",
                 *("pictures/" + name for name in os.listdir(folder + "/pictures"))):
        with store.open_output_stream("bucket/sets/" + path.removeprefix("files/")) as out:
            out.write(open(os.path.join(folder, path), "rb").read())
END

build() { "$i1" data build parquet --size 32 --num-shards 1 --output "$scratch/sets/$1" "${@:2}" >"$scratch/out" 2>"$scratch/err" ||
  fail "$*: $(cat "$scratch/err")"; }
same() { cmp "$scratch/sets/$1"/dataset-train.tfrecord* "$scratch/sets/$2"/dataset-train.tfrecord* || fail "$1 is not as $2"; }
build local --pictures "$scratch/files/split"
build local_captions --pictures "$scratch/files/list.parquet" --captions "$scratch/files/captions"
mkdir "$scratch/files/pictures"
cp "$scratch"/pictures/* "$scratch/files/pictures"
build local_paths --pictures "$scratch/files/paths.parquet"
for store in s3 gs; do
  head=$store://bucket/sets query=
  [[ $store == gs ]] && head=gs://anonymous@bucket/sets query=$gs_query
  build $store --pictures "$head/split$query"
  same $store local
  build ${store}_file --pictures "$head/split/train-00000-of-00002.parquet$query" "$head/split/train-00001-of-00002.parquet$query"
  same ${store}_file local
  build ${store}_captions --pictures "$head/list.parquet$query" --captions "$head/captions$query"
  same ${store}_captions local_captions
  build ${store}_paths --pictures "$head/paths.parquet$query"
  same ${store}_paths local_paths
  status=0
  "$i1" data build parquet --output "$scratch/sets/none" --pictures "$head/nothing.parquet$query" 2>"$scratch/err" || status=$?
  [[ $status == 1 || $status == 2 ]] && [[ $(grep -c '^i1: ' "$scratch/err") == 1 ]] || fail "nothing there: $status $(cat "$scratch/err")"
  echo "$store:// as local files; what is not there: $(cat "$scratch/err")"
done
build s3_uri --pictures "s3://key:secret@bucket/sets/split?scheme=http&endpoint_override=127.0.0.1%3A$s3&region=us-east-1"
same s3_uri local
