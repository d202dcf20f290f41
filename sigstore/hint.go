package sigstore

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
)

// What follows names a signer for a message. Nothing of it is verified, and it
// says so.

// bySimple says who seems to have made a simple signing.
func bySimple(annotations map[string]string) string {
	if block, _ := pem.Decode([]byte(annotations[annotationCertificate])); block != nil {
		return byCertificate(block.Bytes)
	}
	return "a signature that the key does not verify"
}

// byEnvelope says who seems to have signed an envelope.
func byEnvelope(annotations map[string]string, keyIDs []string) string {
	if annotations[annotationCertificate] == "" && keyIDs[0] != "" {
		return "a signature with key id " + quote(keyIDs[0]) + " (not verified)"
	}
	return bySimple(annotations)
}

// byCertificate says for whom a certificate seems to be.
func byCertificate(der []byte) string {
	c, err := parseCertificate(der)
	if err != nil {
		return "a signature by a certificate that does not parse"
	}
	name := c.Subject.String()
	switch {
	case len(c.URIs) > 0:
		name = c.URIs[0].String()
	case len(c.EmailAddresses) > 0:
		name = c.EmailAddresses[0]
	}
	return "a signature by a certificate for " + quote(name) + " (not verified)"
}

// notVerifying says what a signature is that does not verify with the holder's
// key.
func notVerifying(h holder, got string) string {
	if h.certificate != nil {
		return "one that does not verify with the key of its certificate for " + quote(nameOf(h.certificate))
	}
	return got
}

// byHint says which key a bundle claims. cosign's hint is the SHA-256 of the
// key in base64.
func byHint(p party, material *protobundle.VerificationMaterial) string {
	hint := material.GetPublicKey().GetHint()
	if hint == "" {
		return "a signature that the key does not verify"
	}
	raw, err := base64.StdEncoding.DecodeString(hint)
	if err != nil || len(raw) != 32 {
		return "a signature by a key with hint " + quote(hint) + " (not verified)"
	}
	if k, is := p.(keyParty); is && hex.EncodeToString(raw) == k.key.fingerprint() {
		return "a signature that claims this key and does not verify"
	}
	return "a signature by key sha256:" + hex.EncodeToString(raw)[:shortFingerprint] + "… (not verified)"
}
