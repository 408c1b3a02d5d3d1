#!/usr/bin/env bash
# Our transform beside Pillow's own, bit for bit: 2,000 pictures of every format and kind, some of them cut, made by a seeded
# generator (tests/pillow.py) with the Pillow that the goldens were computed with. Installs it into a scratch environment.
i1=$1
. "$(dirname "$0")/common.sh"

export PYTHONPATH=$scratch/python
python3 -m pip --disable-pip-version-check install -q --only-binary :all: --target "$PYTHONPATH" pillow==9.4.0 numpy==2.2.6 ||
  fail "cannot install Pillow 9.4.0, which has wheels for Python 3.7 to 3.11; this is $(python3 --version)"
python3 tests/pillow.py write "$scratch/made" 2000
"$i1" data build folder --pictures "$scratch/made/pictures" --captions "$scratch/made/captions.jsonl" --size 96 --num-shards 1 \
  --output "$scratch/set" >/dev/null 2>&1
python3 tests/pillow.py compare "$scratch/made" "$scratch/set/dataset-train.tfrecord-00000-of-00001" 96 2>/dev/null ||
  fail "our pictures are not Pillow's"
echo "pillow: ok"
