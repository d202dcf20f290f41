#!/bin/sh
# Makes testdata/corpus anew, or with "-group NAME" the cases and signers of one
# group. It needs the network for the tools' modules on the first run, some
# minutes and 1 GB; the tools are kept in CORPUS_CACHE.
set -eu
cd "$(dirname "$0")/../.."
cache=${CORPUS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bonafide-corpus}
build() { # folder program module@version
    if [ ! -x "$cache/$1/$2" ]; then
        mkdir -p "$cache/$1"
        GOBIN=$cache/$1 GOFLAGS= go install "$3"
    fi
}
build v2 cosign github.com/sigstore/cosign/v2/cmd/cosign@v2.6.5
build v3 cosign github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3
build timestamps timestamp-server github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server@v2.1.3
build fulcio fulcio github.com/sigstore/fulcio@v1.8.8
build rekor posix github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix@v2.3.0
exec go run ./hack/corpus -cosign2 "$cache/v2/cosign" -cosign3 "$cache/v3/cosign" -timestamp-server "$cache/timestamps/timestamp-server" \
    -fulcio "$cache/fulcio/fulcio" -rekor-server "$cache/rekor/posix" -out testdata/corpus "$@"
