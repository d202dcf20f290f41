// Package corpus decides on every artifact of testdata/corpus, which the real
// tools made, through the whole path: layout on disk, discovery, verifiers,
// engine. It also replays bundles of Sigstore's public instance, which the
// module of sigstore-go brings along.
package corpus
