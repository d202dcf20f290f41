// Package policy is the one policy model: what every dialect is translated
// into and what the engine evaluates. A [Policy] says for which images and
// requests it applies, and carries a tree of requirements whose leaves name
// signers. [Evaluate] turns the tree and what is known about its leaves into a
// finding that mirrors it.
//
// The package does no I/O and knows neither Kubernetes, registries nor
// cryptography: a signer is an interface that the verifiers implement.
package policy
