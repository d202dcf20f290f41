#!/bin/sh
# Makes testdata/corpus anew. It needs the network for cosign's modules on the
# first run, some minutes and 1 GB; the tools are kept in CORPUS_CACHE.
set -eu
cd "$(dirname "$0")/../.."
cache=${CORPUS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bonafide-corpus}
for tool in v2/cmd/cosign@v2.6.5 v3/cmd/cosign@v3.1.3; do
    dir=$cache/${tool%%/*}
    if [ ! -x "$dir/cosign" ]; then
        mkdir -p "$dir"
        GOBIN=$dir GOFLAGS= go install "github.com/sigstore/cosign/$tool"
    fi
done
exec go run ./hack/corpus -cosign2 "$cache/v2/cosign" -cosign3 "$cache/v3/cosign" -out testdata/corpus
