// Package evidence finds, for one image digest, everything in its registry
// that may prove something about it: signatures and signed statements in every
// storage format. It also owns the vocabulary in which the whole module says
// why something was not proven ([Problem], [Reason]).
//
// What it returns is hostile until a verifier has looked at it. The package
// parses manifests and bounds what is read; it verifies no signature and knows
// no policy, no credentials and no HTTP.
package evidence
