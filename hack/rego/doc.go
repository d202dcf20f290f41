// Package rego holds tests that decide with Gatekeeper's own Rego driver over
// answers of Bonafide's external data doors. It is a module of its own: nothing
// of the policy engine is linked into Bonafide.
package rego
