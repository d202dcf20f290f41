package sigstore

import (
	"context"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// VerifyStatement decides whether item holds a statement of the predicate type
// about the image that this signer signed: an in-toto statement of version 0.1
// or 1 in a DSSE envelope, in a bundle or by itself. An envelope may have more
// signatures; the signer's is enough. A statement of another type is a problem
// with reason [evidence.NotAttested], whoever signed it, and so is an image
// signature, whatever type is asked (TRUST R23).
//
// What the signer asks of a signature it asks of a statement too, but for
// [Options].Annotations: see there. The proof's Time is the earliest that a log
// or a timestamp proves.
func (s *Signer) VerifyStatement(_ context.Context, image evidence.Image, item evidence.Item, predicateType string) (policy.Proof, error) {
	return prove(item, func() (verdict, error) {
		if err := checkAsked(image, item, predicateType); err != nil {
			return verdict{}, err
		}
		switch item.Format {
		case evidence.Envelope:
			return s.verifyEnvelope(image, item, predicateType)
		case evidence.Bundle:
			return s.verifyBundle(subjectOf(image), item.Payload, predicateType)
		case evidence.SimpleSigning, evidence.Notation, evidence.Artifact, evidence.Embedded:
		}
		return verdict{}, notAttested(predicateType, described(item.Format))
	})
}

// ReadCovered returns what a statement says that an index holds about one of its
// images. Nobody signed it but with the index: by is the proof of that (TRUST
// R31).
func (s *Signer) ReadCovered(image evidence.Image, item evidence.Item, predicateType string, by policy.Proof) (policy.Proof, error) {
	proof, err := prove(item, func() (verdict, error) {
		if err := checkAsked(image, item, predicateType); err != nil {
			return verdict{}, err
		}
		if item.Format != evidence.Embedded {
			return verdict{}, notAttested(predicateType, described(item.Format))
		}
		statement, err := parseStatement(item.Payload)
		if err != nil {
			return verdict{}, err
		}
		if err := statement.checkType(predicateType); err != nil {
			return verdict{}, err
		}
		if _, err := statement.subject(subjectOf(image)); err != nil {
			return verdict{}, err
		}
		return verdict{statement: item.Payload, predicateType: predicateType}, nil
	})
	if err != nil {
		return policy.Proof{}, err
	}
	proof.Identity, proof.Key, proof.Who = by.Identity, by.Key, by.Who
	proof.Time, proof.Expires, proof.Testimony = by.Time, by.Expires, by.Testimony
	return proof, nil
}

func checkAsked(image evidence.Image, item evidence.Item, predicateType string) error {
	if err := checkInput(image, item); err != nil {
		return err
	}
	if predicateType == "" || predicateType == predicateSign || predicateType == anyType {
		return notAttested(predicateType, "a type that no attestation has")
	}
	return nil
}

func notAttested(predicateType, got string) error {
	return &evidence.Problem{Reason: evidence.NotAttested, Expected: "a statement of type " + quote(predicateType), Got: got}
}

// verifyEnvelope verifies an envelope of a ".att" manifest or of a referrer
// (TRUST R21, R24). Whose it is comes after its type: statements of other types
// are not looked at.
func (s *Signer) verifyEnvelope(image evidence.Image, item evidence.Item, predicateType string) (verdict, error) {
	e, err := openLayer(item.Payload)
	if err != nil {
		return verdict{}, err
	}
	statement, err := parseStatement(e.payload)
	if err != nil {
		return verdict{}, err
	}
	if err := statement.checkType(predicateType); err != nil {
		return verdict{}, err
	}
	h, err := s.party.holder(annotated(item.Annotations))
	if err != nil {
		return verdict{}, err
	}
	signature, err := s.signatureOf(h, e, item.Annotations)
	if err != nil {
		return verdict{}, err
	}
	if err := s.checkSubject(subjectOf(image), statement); err != nil {
		return verdict{}, err
	}
	// cosign has the whole envelope of an attestation stamped, which holds the
	// signature, others the signature alone.
	times, err := s.provenOf(item.Annotations, func(body []byte) error {
		return checkAttestationBody(h, body, loggedAttestation{layer: item.Payload, payload: e.payload, signature: signature})
	}, signature, item.Payload)
	if err != nil {
		return verdict{}, h.claiming(err)
	}
	v, err := s.party.judge(h, times)
	v.key, v.statement, v.predicateType = h.key.fingerprint(), e.payload, predicateType
	return v, err
}

// signatureOf returns the signature in an envelope that is by the holder.
func (s *Signer) signatureOf(h holder, e envelope, annotations map[string]string) ([]byte, error) {
	if i := h.key.whichVerifies(dsse.PAE(payloadInToto, e.payload), e.signatures); i >= 0 {
		return e.signatures[i], nil
	}
	if h.key.whichVerifies(e.payload, e.signatures) >= 0 {
		return nil, rawSignature()
	}
	return nil, s.mismatch(notVerifying(h, byEnvelope(annotations, e.keyIDs)))
}

// checkSubject binds a statement to what was signed, and compares what else the
// signer asks of it.
func (s *Signer) checkSubject(of thing, statement statement) error {
	subject, err := statement.subject(of)
	if err != nil {
		return err
	}
	if statement.signs() || len(subject.Annotations) > 0 {
		if err := s.checkAnnotations(subject.Annotations); err != nil {
			return err
		}
	}
	return s.checkReference(of.repository, "")
}
