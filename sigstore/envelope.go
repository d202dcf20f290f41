package sigstore

import (
	"encoding/base64"
	"fmt"

	"github.com/bonafide-dev/bonafide/evidence"
)

// maxSignatures bounds the signatures of one envelope (TRUST R1). Tools write
// one; each costs a verification.
const maxSignatures = 16

// envelope is a DSSE envelope around an in-toto statement (DSSE v1.0,
// envelope.md).
type envelope struct {
	payload    []byte
	signatures [][]byte
	// keyIDs name the signatures' keys. They are not signed and say nothing but
	// in messages (TRUST R24).
	keyIDs []string
}

type envelopeDocument struct {
	PayloadType string `json:"payloadType"`
	Payload     string `json:"payload"`
	Signatures  []struct {
		KeyID string `json:"keyid"`
		Sig   string `json:"sig"`
	} `json:"signatures"`
}

// openLayer reads an envelope strictly (TRUST R4). Nothing of it is verified.
func openLayer(raw []byte) (envelope, error) {
	if n := commas(raw); n > maxParts {
		return envelope{}, tooMany("parts of an envelope", maxParts, n)
	}
	var d envelopeDocument
	if err := evidence.DecodeJSON(raw, &d); err != nil {
		return envelope{}, malformed("a DSSE envelope", err)
	}
	if err := checkPayloadType(d.PayloadType); err != nil {
		return envelope{}, err
	}
	switch n := len(d.Signatures); {
	case n == 0:
		return envelope{}, malformed("a signature in an envelope, got none", nil)
	case n > maxSignatures:
		return envelope{}, tooMany("signatures of an envelope", maxSignatures, n)
	}
	var e envelope
	var err error
	if e.payload, err = decodeDSSE(d.Payload); err != nil {
		return envelope{}, malformed("an envelope's payload in base64", err)
	}
	for i, s := range d.Signatures {
		raw, err := decodeDSSE(s.Sig)
		if err != nil {
			return envelope{}, malformed(fmt.Sprintf("an envelope's signature %d in base64", i), err)
		}
		e.signatures, e.keyIDs = append(e.signatures, raw), append(e.keyIDs, s.KeyID)
	}
	return e, nil
}

// decodeDSSE decodes base64 in either alphabet (DSSE v1.0, envelope.md,
// "Standard JSON envelope").
func decodeDSSE(s string) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(s)
	if err == nil {
		return raw, nil
	}
	if url, urlErr := base64.URLEncoding.DecodeString(s); urlErr == nil {
		return url, nil
	}
	return nil, err
}

// checkPayloadType refuses what is no in-toto statement: Tekton Chains puts
// simple signings with raw signatures into envelopes (TRUST R24).
func checkPayloadType(payloadType string) error {
	if payloadType == payloadInToto {
		return nil
	}
	return &evidence.Problem{
		Reason: evidence.UnsupportedEvidence, Expected: "an envelope with payload type " + quote(payloadInToto),
		Got: "a raw signature in an envelope with payload type " + quote(payloadType),
	}
}

// rawSignature is the problem of a signature that leaves the payload type out.
func rawSignature() error {
	return &evidence.Problem{
		Reason: evidence.UnsupportedEvidence, Expected: "a signature over the envelope's payload and its type",
		Got: "a raw signature over the payload alone",
	}
}
