// Package testca is a Sigstore of tests' own: a transparency log whose entries
// verify under a trusted root of its own, and ways to make them wrong.
//
// Entries and their signatures are written here from Rekor's documented
// formats, without its builders, so that a verifier that uses Rekor's code is
// not tested against the same code. Only tests import the package.
package testca
