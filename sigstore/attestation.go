package sigstore

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

var _ policy.Attestor = (*Key)(nil)

// StatementNeed returns cosign attestations and Sigstore bundles.
func (k *Key) StatementNeed() evidence.Need { return evidence.Need{Envelope: true, Bundle: true} }

// VerifyStatement decides whether item holds a statement of the predicate type
// about the image that this key signed: an in-toto statement of version 0.1 or
// 1 in a DSSE envelope, in a bundle or by itself. An envelope may have more
// signatures; the key's is enough. A statement of another type is a problem
// with reason [evidence.NotAttested], whoever signed it, and so is an image
// signature, whatever type is asked (TRUST R23).
//
// What the signer asks of a signature it asks of a statement too, but for
// [KeyOptions].Annotations: see there. The proof's Time is the earliest that a
// log or a timestamp proves.
func (k *Key) VerifyStatement(_ context.Context, image evidence.Image, item evidence.Item, predicateType string) (policy.Proof, error) {
	return k.prove(item, func() (verdict, error) {
		if err := checkInput(image, item); err != nil {
			return verdict{}, err
		}
		if predicateType == "" || predicateType == predicateSign {
			return verdict{}, notAttested(predicateType, "a type that no attestation has")
		}
		switch item.Format {
		case evidence.Envelope:
			return k.verifyEnvelope(image, item, predicateType)
		case evidence.Bundle:
			return k.verifyBundle(image, item, predicateType)
		case evidence.SimpleSigning, evidence.Notation, evidence.Artifact:
		}
		return verdict{}, notAttested(predicateType, described(item.Format))
	})
}

func notAttested(predicateType, got string) error {
	return &evidence.Problem{Reason: evidence.NotAttested, Expected: "a statement of type " + quote(predicateType), Got: got}
}

// verifyEnvelope verifies an envelope of a ".att" manifest (TRUST R21, R24). A
// certificate beside it is not looked at: the key decides.
func (k *Key) verifyEnvelope(image evidence.Image, item evidence.Item, predicateType string) (verdict, error) {
	e, err := openLayer(item.Payload)
	if err != nil {
		return verdict{}, err
	}
	s, err := parseStatement(e.payload)
	if err != nil {
		return verdict{}, err
	}
	if err := s.checkType(predicateType); err != nil {
		return verdict{}, err
	}
	signature, err := k.signatureOf(e, item.Annotations)
	if err != nil {
		return verdict{}, err
	}
	if err := k.checkSubject(image, s); err != nil {
		return verdict{}, err
	}
	made, err := k.checkEnvelopeTime(item, e, signature)
	return verdict{made: made, statement: e.payload, predicateType: predicateType}, err
}

// signatureOf returns the signature in an envelope that is by the key.
func (k *Key) signatureOf(e envelope, annotations map[string]string) ([]byte, error) {
	if i := k.key.whichVerifies(dsse.PAE(payloadInToto, e.payload), e.signatures); i >= 0 {
		return e.signatures[i], nil
	}
	if k.key.whichVerifies(e.payload, e.signatures) >= 0 {
		return nil, rawSignature()
	}
	return nil, k.mismatch(byEnvelope(annotations, e.keyIDs))
}

// checkSubject binds a statement to the image, and compares what else the
// signer asks of it.
func (k *Key) checkSubject(image evidence.Image, s statement) error {
	subject, err := s.subject(image.Digest())
	if err != nil {
		return err
	}
	if s.signs() || len(subject.Annotations) > 0 {
		if err := k.checkAnnotations(subject.Annotations); err != nil {
			return err
		}
	}
	return k.checkReference(image, "")
}

// checkEnvelopeTime checks what testifies to an attestation: the log and
// timestamps.
func (k *Key) checkEnvelopeTime(item evidence.Item, e envelope, signature []byte) (time.Time, error) {
	var times []time.Time
	if k.options.TransparencyLog != LogIgnored {
		logged, err := k.checkLog(item.Annotations[annotationLogEntry], func(body []byte) error {
			return k.checkAttestationBody(body, loggedAttestation{layer: item.Payload, payload: e.payload, signature: signature})
		})
		if err != nil {
			return time.Time{}, err
		}
		times = append(times, logged)
	}
	tokens, err := simpleTimestamps(item.Annotations[annotationTimestamp])
	if err != nil {
		return time.Time{}, err
	}
	// cosign has the whole envelope of an attestation stamped, which holds the
	// signature, others the signature alone.
	stamped, err := k.checkTimestamps(tokens, signature, item.Payload)
	if err != nil {
		return time.Time{}, err
	}
	return k.checkTimes(append(times, stamped...))
}

// digestBytes returns a digest's bytes.
func digestBytes(d imageref.Digest) ([]byte, error) {
	raw, err := hex.DecodeString(d.Hex())
	if err != nil {
		return nil, malformed("a digest", err)
	}
	return raw, nil
}
