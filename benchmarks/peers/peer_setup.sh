# Sourced by run and logits: fetches the peer, builds peer_steps and kakeya-llm, writes models. Everything that is
# fetched or made lies under $cache (KAKEYA_PEERS_CACHE, default build/peers) and nothing of it is committed.
peer_version=3.22.1        # of node-llama-cpp and its prebuilt library: llama.cpp release v0.5.0
peer_commit=de3ff815ea7d559ee917f063901b8986f038abc6
cache=$(realpath -m "${KAKEYA_PEERS_CACHE:-build/peers}")
python=/usr/bin/python3    # Debian's own: python3-numpy belongs to it
[[ -x $python ]] || python=python3

fail() { echo "$(basename "$0"): $*" >&2; exit 1; }

ensure_tools() {
  [[ $(uname -sm) == 'Linux x86_64' ]] ||
    fail "the peer's prebuilt library is for Linux on x86-64, this is $(uname -sm)"
  scripts/setup test
  local tool
  for tool in npm git g++; do command -v "$tool" >/dev/null || fail "$tool is missing"; done
}

# A finished directory gets its name at the end, so an interrupted run is simply done again.
ensure_packages() {
  local stamp=$cache/npm/.complete
  [[ $(cat "$stamp" 2>/dev/null) == "$peer_version" ]] && return
  echo "peers: fetching node-llama-cpp $peer_version from npm (about 725 MB unpacked)" >&2
  rm -rf "$cache/npm" && mkdir -p "$cache/npm"
  (cd "$cache/npm" && echo '{"private": true}' >package.json &&
    NODE_LLAMA_CPP_SKIP_DOWNLOAD=true npm install --ignore-scripts --no-audit --no-fund --loglevel=error --save-exact \
      "node-llama-cpp@$peer_version" "@node-llama-cpp/linux-x64@$peer_version" >&2) || fail "npm install failed"
  echo "$peer_version" >"$stamp"
}

# The headers that match the library come in the package, as a git bundle.
ensure_headers() {
  [[ $(cat "$cache/headers/.complete" 2>/dev/null) == "$peer_commit" ]] && return
  local work=$cache/headers.tmp
  rm -rf "$cache/headers" "$work" && mkdir -p "$work"
  git clone -q --bare "$cache/npm/node_modules/node-llama-cpp/llama/gitRelease.bundle" "$work/git"
  [[ $(git -C "$work/git" rev-parse HEAD) == "$peer_commit" ]] ||
    fail "the bundled source is $(git -C "$work/git" rev-parse HEAD), expected $peer_commit"
  git -C "$work/git" archive HEAD include ggml/include | tar -x -C "$work"
  rm -rf "$work/git"
  echo "$peer_commit" >"$work/.complete"
  mv "$work" "$cache/headers"
}

ensure_peer_steps() {
  peer_libraries=$cache/npm/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64
  peer_steps=$cache/peer_steps
  local here=benchmarks/peers sources
  sources=("$here"/peer_steps.cc "$here"/peer_model.cc "$here"/peer_state.cc)
  local file stale=
  for file in "${sources[@]}" "$here"/*.h "$cache/headers/.complete" "$cache/npm/.complete"; do
    [[ -x $peer_steps && ! $file -nt $peer_steps ]] || stale=1
  done
  [[ $stale ]] || return 0
  g++ -std=c++20 -O2 -Wall -Wextra "${sources[@]}" \
    -isystem "$cache/headers/include" -isystem "$cache/headers/ggml/include" -L"$peer_libraries" -l:libllama.v0.5.0.so -l:libggml.v0.5.0.so -l:libggml-base.so -Wl,-rpath,"$peer_libraries" \
    -o "$peer_steps.tmp"
  mv "$peer_steps.tmp" "$peer_steps"
}

ensure_ours() {  # KAKEYA_BIN names a program that is built already
  ours=${KAKEYA_BIN:-build/release/bin/kakeya-llm}
  [[ -n ${KAKEYA_BIN:-} ]] || scripts/build release kakeya-llm >&2
  [[ -x $ours ]] || fail "$ours is no program"
}

# ensure_model SHAPE TYPE [--draft] [--pure]: sets $model
ensure_model() {
  local shape=$1 type=$2
  shift 2
  model=$cache/models/random-$shape-$type$(printf '%s' "${@/#--/-}").gguf
  [[ -s $model && ! tools/random_gguf.py -nt $model ]] ||
    "$python" tools/random_gguf.py --shape "$shape" --type "$type" --out "$model" "$@" >&2
}

ensure_peer() { ensure_tools; ensure_packages; ensure_headers; ensure_peer_steps; }
