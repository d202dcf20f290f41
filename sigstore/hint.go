package sigstore

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"

	"github.com/bonafide-dev/bonafide/evidence"
)

// What follows names a signer for a message. Nothing of it is verified, and it
// says so.

// bySimple says who seems to have made a simple signing.
func bySimple(annotations map[string]string) string {
	if block, _ := pem.Decode([]byte(annotations[annotationCertificate])); block != nil {
		return byDER(block.Bytes)
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

// byDER is byCertificate for one that may not parse.
func byDER(der []byte) string {
	c, err := parseCertificate(der)
	if err != nil {
		return "a signature by a certificate that does not parse"
	}
	return byCertificate(c)
}

// byCertificate says for whom a certificate seems to be.
func byCertificate(c *x509.Certificate) string {
	return "a signature by a certificate for " + quote(nameOf(c)) + " (not verified)"
}

// nameOf is what a message calls a certificate: the first of its alternative
// names that is a text, which says more than a subject.
func nameOf(c *x509.Certificate) string {
	if names, err := namesOf(c); err == nil {
		for _, name := range names {
			if name != "" {
				return name
			}
		}
	}
	if name := c.Subject.String(); name != "" {
		return name
	}
	return "serial " + c.SerialNumber.Text(16)
}

// claiming adds whose signature it seems to be to a problem with what testifies to
// it or with its certificate: that comes before anybody's identity is known.
func (h holder) claiming(err error) error {
	if err == nil || h.claim == "" {
		return err
	}
	p := *evidence.ProblemOf(err)
	switch p.Reason {
	case evidence.LogEntryMissing, evidence.LogEntryInvalid, evidence.TimestampMissing, evidence.TimestampInvalid,
		evidence.CertificateInvalid, evidence.CertificateUntrusted:
	default:
		return err
	}
	if p.Got == "" {
		p.Got = "none that verifies"
	}
	p.Got += ", for " + h.claim
	return &p
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
	fingerprint, hint := hinted(material), hintOf(material)
	if hint == "" {
		return "a signature that the key does not verify"
	}
	if k, is := p.(keyParty); is && fingerprint == k.key.fingerprint() {
		return "a signature that claims this key and does not verify"
	}
	return "a signature" + hint
}

// hinted returns the fingerprint of the key that a bundle claims; empty if its
// hint is of another form.
func hinted(material *protobundle.VerificationMaterial) string {
	raw, err := base64.StdEncoding.DecodeString(material.GetPublicKey().GetHint())
	if err != nil || len(raw) != sha256.Size {
		return ""
	}
	return hex.EncodeToString(raw)
}

// hintOf is what a message adds to a signature of which a bundle claims the key;
// empty if it claims none.
func hintOf(material *protobundle.VerificationMaterial) string {
	fingerprint, hint := hinted(material), material.GetPublicKey().GetHint()
	switch {
	case fingerprint != "":
		return " by key sha256:" + fingerprint[:shortFingerprint] + "… (not verified)"
	case hint != "":
		return " by a key with hint " + quote(hint) + " (not verified)"
	}
	return ""
}
