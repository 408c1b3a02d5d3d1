#!/usr/bin/env bash
# Builds and tests on a machine without network, from packages that tools/offline_parts.sh collected:
#
#   tools/build_offline.sh PARTS [DEVICE]
#
# PARTS    the folder with .deb files
# DEVICE   cuda (default where nvidia-smi answers) or cpu: also the device of the golden checks
# LibTorch is the one of the installed Python package, or I1_LIBTORCH. CUDA needs nvcc.
set -euo pipefail
[[ ${1:-} != -h && ${1:-} != --help ]] || { sed -n '2,/^set -/s/^# \{0,1\}//p' "$0"; exit; }
parts=$(cd "${1:?usage: tools/build_offline.sh PARTS [DEVICE]}" && pwd)
device=${2:-$(nvidia-smi >/dev/null 2>&1 && echo cuda || echo cpu)}
cd "$(dirname "$0")/.."
root=$PWD/build/offline_root

if [[ ! -e $root/.unpacked ]]; then
  mkdir -p "$root"
  for package in "$parts"/*.deb; do dpkg-deb -x "$package" "$root"; done
  # .pc files name /usr: let them name the unpacked tree.
  find "$root" -name '*.pc' -exec sed -i "s#^prefix=/usr#prefix=$root/usr#; s#=/usr/#=$root/usr/#" {} +
  touch "$root/.unpacked"
fi
libraries=$root/usr/lib/$(gcc -dumpmachine)
export PKG_CONFIG_PATH=$libraries/pkgconfig:$root/usr/share/pkgconfig:$root/usr/lib/pkgconfig
export CMAKE_PREFIX_PATH=$root/usr
export CPATH=$root/usr/include:$root/usr/include/$(gcc -dumpmachine)
export LIBRARY_PATH=$libraries
export LD_LIBRARY_PATH=$libraries:$libraries/blas:$libraries/lapack${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export PATH=$PATH:$root/usr/bin

libtorch=${I1_LIBTORCH:-$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))')}
preset=release
[[ $device == cuda* ]] && preset=cuda
cmake --preset "$preset" -DI1_LIBTORCH="$libtorch"
cmake --build --preset "$preset" -j "$(nproc)"
OMP_WAIT_POLICY=passive I1_TEST_DEVICE=$device ctest --test-dir "build/$preset" -j 4 --output-on-failure -E '^tests.pillow$'  # which needs a network
for goldens in goldens ../shared/goldens shared/goldens; do
  if [[ -d $goldens ]]; then "build/$preset/i1" check "$goldens" --device "$device"; fi
done
