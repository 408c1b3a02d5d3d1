#!/usr/bin/env bash
# Collects what a build needs beside compiler, CMake and LibTorch, for a machine without network:
#
#   tools/offline_parts.sh FOLDER     downloads the Debian packages (headers and libraries, about 30 MB) into FOLDER
#
# Carry FOLDER there and run tools/build_offline.sh. Packages are only unpacked, never installed.
set -euo pipefail
folder=${1:?usage: tools/offline_parts.sh FOLDER}
mkdir -p "$folder"
cd "$folder"
wanted=(ninja-build nlohmann-json3-dev libcli11-dev libhwy-dev libhwy1 libpng-dev libpng16-16 libjpeg62-turbo-dev libjpeg62-turbo
  libwebp-dev libwebp7 libwebpdemux2 libwebpmux3 libtiff-dev libtiff6 libgif-dev libgif7 zlib1g-dev zlib1g libisal-dev libisal2 libjemalloc-dev libjemalloc2
  libssl-dev libssl3 libcurl4-openssl-dev libcurl4 libfarmhash-dev libfarmhash0
  libgtest-dev libgmock-dev googletest libbenchmark-dev libbenchmark1.7.1)
# librsvg, cairo and libcurl come with a long tail of libraries: every one that the linker or the loader asks for.
tail_of() {
  apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$@" |
    grep -E '^[a-z0-9]' | grep -E '^(lib|zlib|pkg|x11|uuid|shared-mime|fontconfig)' |
    grep -vE '^(libc6|libc-dev|libgcc|libstdc|libperl|libpython|libpam|libsystemd|libdb5|libgcrypt|libicu)' | sort -u
}
mapfile -t rest < <(tail_of librsvg2-dev libcurl4-openssl-dev)
apt-get download "${wanted[@]}" "${rest[@]}" 2>/dev/null || {
  for package in "${wanted[@]}" "${rest[@]}"; do apt-get download "$package" 2>/dev/null || echo "left out: $package" >&2; done
}
du -sh .
