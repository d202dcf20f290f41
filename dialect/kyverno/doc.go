// Package kyverno is the dialect of Kyverno's ClusterPolicy and Policy: it
// compiles their verifyImages rules into policy.Policy. It keeps the documented
// meaning of a policy where that and Kyverno's behaviour differ, and never
// admits more.
//
// Every field is honoured, accepted with a Note that says what replaces it, or
// refused by name ([Fields]); an unknown field is an error (TRUST R19). Rules
// that validate, mutate or generate are no image verification and are refused.
//
// The package imports nothing of Kyverno, verifies nothing and reads no file:
// keys come through dialect.Material and become signers through
// dialect.Signers.
package kyverno
