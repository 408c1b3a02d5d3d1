#!/usr/bin/env bash
# Collects what a build needs beside compiler, CMake and LibTorch, for a machine without network:
#
#   tools/offline_parts.sh FOLDER     downloads the Debian packages (headers and libraries, 47 MB) into FOLDER
#
# Carry FOLDER there and run tools/build_offline.sh. Packages are only unpacked, never installed.
set -euo pipefail
[[ ${1:-} != -h && ${1:-} != --help ]] || { sed -n '2,/^set -/s/^# \{0,1\}//p' "$0"; exit; }
folder=${1:?usage: tools/offline_parts.sh FOLDER}
mkdir -p "$folder"
cd "$folder"
wanted=(ninja-build nlohmann-json3-dev libcli11-dev libhwy-dev libpng-dev libjpeg62-turbo-dev libwebp-dev libtiff-dev libgif-dev
  librsvg2-dev zlib1g-dev libisal-dev libjemalloc-dev libssl-dev libcurl4-openssl-dev libarchive-dev libsqlite3-dev libfarmhash-dev libgtest-dev
  libgmock-dev libbenchmark-dev)
# With every library that the linker or the loader then asks for; what a machine with a compiler has is left out.
with_dependencies() {
  apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$@" |
    grep -E '^(lib|zlib|pkg|x11|uuid|shared-mime|fontconfig|googletest|ninja|nlohmann)' |
    grep -vE '^(libc6|libc-dev|libgcc|libstdc|libperl|libpython|libpam|libsystemd|libdb5|libgcrypt|libicu)'
}
only_real() {  # not the names that other packages provide
  apt-cache policy "$@" | awk '/^[^ ]/ {name = $1; sub(/:$/, "", name)} /Candidate:/ && $2 != "(none)" {print name}'
}
mapfile -t names < <(with_dependencies "${wanted[@]}" | sort -u)
mapfile -t packages < <(only_real "${names[@]}")
apt-get download -q "${packages[@]}"
for package in "${wanted[@]}"; do
  compgen -G "${package}_*.deb" >/dev/null || { echo "offline_parts.sh: $package was not downloaded" >&2; exit 1; }
done
du -sh .
