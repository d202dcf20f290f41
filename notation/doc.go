// Package notation verifies Notary Project signatures: JWS and COSE envelopes,
// judged by trust stores, trusted identities and a verification level.
//
// A [Signer] is made from native options with [New], or from a Notation trust
// policy document and the certificates of its trust stores with
// [FromDocument]. It proves that an image was signed only where integrity and
// authenticity are enforced and passed (TRUST R29). The package reads no file
// except those of the folders that it is given, executes no program except the
// plugins that a signer allows, in a [PluginHost] and after all else has passed
// (TRUST R30), and opens no connection except through the HTTP client that a
// caller hands to [NewOnline].
//
// The cryptography is notation-go's. That library reads the wall clock: expiry
// and validity are judged at the time of the call, whatever clock the rest of
// the program has.
//
// Specifications: Notary Project signature-specification.md,
// signature-envelope-jws.md, signature-envelope-cose.md,
// trust-store-trust-policy.md and plugin-extensibility.md, version 1.1.
package notation
