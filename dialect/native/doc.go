// Package native is the dialect of the kinds of package v1alpha1: it compiles a
// ClusterVerificationPolicy or a VerificationPolicy into a policy.Policy.
//
// It is the place where the specification in v1alpha1's comments is enforced.
// Everything that a policy says is honoured or refused by name; nothing is
// ignored. What a policy asks for less than the defaults do becomes a Note that
// is a weakening (TRUST R19).
//
// The package verifies nothing and reads no file itself: keys and certificates
// come through dialect.Material and become signers through dialect.Signers.
package native
