// Package sigstore verifies what cosign and other Sigstore clients sign: simple
// signing payloads, Sigstore bundles, and in-toto statements in bundles or in
// envelopes of their own.
//
// A [Signer] is who must have signed: who holds a key, whom a certificate names, or
// who holds a certificate. Everything that it trusts is given when
// it is made; it opens no connection, reads no clock, and what it returns is
// either a proof or a classified problem. It does not find evidence, and it
// does not decide which signatures a policy asks for.
package sigstore
