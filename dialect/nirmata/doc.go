// Package nirmata reads the kinds of Nirmata's Notation services for Kyverno,
// notation.nirmata.io/v1alpha1 TrustPolicy and TrustStore. Each statement of a
// TrustPolicy becomes a policy that callers choose by the TrustPolicy's
// spec.trustPolicyName, and a TrustStore the certificates that statements name.
//
// Statements keep the meaning that the Notary Project's trust policies have
// (trust-store-trust-policy.md): the statement whose registryScopes name an
// image's repository judges it, else the one with scope "*", else none. Levels
// that do not enforce who signed admit as they are documented to, each with a
// note (TRUST R29); level skip for every repository is refused.
//
// It writes no files, so that names are names and never paths, and it reads no
// fields that the kinds do not have: there are no timestamp authorities.
package nirmata
