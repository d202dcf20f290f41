// Package corpus decides on every artifact of testdata/corpus, which the real
// tools made, through the whole path: layout on disk, discovery, verifiers,
// engine.
package corpus
