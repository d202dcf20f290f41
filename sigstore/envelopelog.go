package sigstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"

	"github.com/bonafide-dev/bonafide/evidence"
)

// loggedAttestation is what a log entry of an attestation must be of.
type loggedAttestation struct {
	layer     []byte // the envelope in JSON, byte for byte
	payload   []byte
	signature []byte
}

// loggedHash is a hash in a log entry.
type loggedHash struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"value"`
}

// dsseBody is the body of an entry of kind dsse (rekor pkg/types/dsse/v0.0.1).
type dsseBody struct {
	Spec struct {
		PayloadHash loggedHash `json:"payloadHash"`
		Signatures  []struct {
			Signature string `json:"signature"` // in base64
			Verifier  []byte `json:"verifier"`
		} `json:"signatures"`
	} `json:"spec"`
}

// intotoBody is the body of an entry of kind intoto, of either version (rekor
// pkg/types/intoto/v0.0.1 and v0.0.2).
type intotoBody struct {
	Spec struct {
		PublicKey []byte `json:"publicKey"` // version 0.0.1
		Content   struct {
			Hash        loggedHash `json:"hash"` // of the envelope in JSON
			PayloadHash loggedHash `json:"payloadHash"`
			Envelope    struct {   // version 0.0.2
				Signatures []struct {
					Sig       []byte `json:"sig"` // which is base64 itself
					PublicKey []byte `json:"publicKey"`
				} `json:"signatures"`
			} `json:"envelope"`
		} `json:"content"`
	} `json:"spec"`
}

// checkAttestationBody binds a log entry to an attestation's signature, key and
// payload, as checkBody does for a simple signing (TRUST R25).
func checkAttestationBody(h holder, raw []byte, of loggedAttestation) error {
	var kind struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := evidence.DecodeJSON(raw, &kind); err != nil {
		return badEntry("a log entry's body", "", err)
	}
	switch kind.Kind + " " + kind.APIVersion {
	case "dsse 0.0.1":
		return checkDSSEBody(h, raw, of)
	case "intoto 0.0.1":
		return checkFirstInTotoBody(h, raw, of)
	case "intoto 0.0.2":
		return checkInTotoBody(h, raw, of)
	}
	return badEntry("an entry of kind dsse 0.0.1, intoto 0.0.1 or intoto 0.0.2", quote(kind.Kind+" "+kind.APIVersion), nil)
}

func checkDSSEBody(h holder, raw []byte, of loggedAttestation) error {
	var b dsseBody
	if err := evidence.DecodeJSON(raw, &b); err != nil {
		return badEntry("a log entry's body", "", err)
	}
	signatures := make([]loggedSignature, 0, len(b.Spec.Signatures))
	for _, s := range b.Spec.Signatures {
		signatures = append(signatures, loggedSignature{encoded: s.Signature, key: s.Verifier})
	}
	if err := checkLoggedSignature(h, signatures, of.signature); err != nil {
		return err
	}
	return checkLoggedHash(b.Spec.PayloadHash.Algorithm, b.Spec.PayloadHash.Value, of.payload)
}

func checkInTotoBody(h holder, raw []byte, of loggedAttestation) error {
	var b intotoBody
	if err := evidence.DecodeJSON(raw, &b); err != nil {
		return badEntry("a log entry's body", "", err)
	}
	content := b.Spec.Content
	signatures := make([]loggedSignature, 0, len(content.Envelope.Signatures))
	for _, s := range content.Envelope.Signatures {
		signatures = append(signatures, loggedSignature{encoded: string(s.Sig), key: s.PublicKey})
	}
	if err := checkLoggedSignature(h, signatures, of.signature); err != nil {
		return err
	}
	return checkLoggedHash(content.PayloadHash.Algorithm, content.PayloadHash.Value, of.payload)
}

// checkFirstInTotoBody checks an entry that holds no signature, but the hash of
// the envelope with all of them.
func checkFirstInTotoBody(h holder, raw []byte, of loggedAttestation) error {
	var b intotoBody
	if err := evidence.DecodeJSON(raw, &b); err != nil {
		return badEntry("a log entry's body", "", err)
	}
	if err := h.checkLogged(b.Spec.PublicKey); err != nil {
		return err
	}
	content := b.Spec.Content
	envelope, err := hex.DecodeString(content.Hash.Value)
	if own := sha256.Sum256(of.layer); err != nil || content.Hash.Algorithm != "sha256" || !bytes.Equal(envelope, own[:]) {
		return anotherEntry("envelope", err)
	}
	if content.PayloadHash == (loggedHash{}) {
		return nil // the oldest entries have none; the envelope holds the payload
	}
	return checkLoggedHash(content.PayloadHash.Algorithm, content.PayloadHash.Value, of.payload)
}

// loggedSignature is a signature in a log entry with the key that verifies it.
type loggedSignature struct {
	encoded string // in base64
	key     []byte // PEM of the key or of its certificate
}

// checkLoggedSignature looks for the signature among those of an entry.
func checkLoggedSignature(h holder, signatures []loggedSignature, signature []byte) error {
	if n := len(signatures); n > maxSignatures {
		return tooMany("signatures of a log entry", maxSignatures, n)
	}
	for _, s := range signatures {
		if raw, err := base64.StdEncoding.DecodeString(s.encoded); err == nil && bytes.Equal(raw, signature) {
			return h.checkLogged(s.key)
		}
	}
	return anotherEntry("signature", nil)
}
