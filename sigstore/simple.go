package sigstore

import (
	"encoding/base64"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// Annotations of a signature layer (cosign specs/SIGNATURE_SPEC.md).
const (
	annotationSignature   = "dev.cosignproject.cosign/signature"
	annotationCertificate = "dev.sigstore.cosign/certificate"
	annotationChain       = "dev.sigstore.cosign/chain"
	annotationLogEntry    = "dev.sigstore.cosign/bundle"
	annotationTimestamp   = "dev.sigstore.cosign/rfc3161timestamp"
)

// simpleType is the critical.type of cosign's payloads. That of
// containers/image, "atomic container signature", promises something else: it
// binds the reference.
const simpleType = "cosign container image signature"

// simplePayload is cosign specs/SIGNATURE_SPEC.md, "Simple Signing".
type simplePayload struct {
	Critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional map[string]any `json:"optional"`
}

// verifySimple verifies a simple-signing payload. Whose signature it is comes
// first: no other's payload is parsed.
func (s *Signer) verifySimple(image evidence.Image, item evidence.Item) (verdict, error) {
	signature, err := base64.StdEncoding.DecodeString(item.Annotations[annotationSignature])
	if err != nil || len(signature) == 0 {
		return verdict{}, malformed("a signature in annotation "+annotationSignature, err)
	}
	h, err := s.party.holder(annotated(item.Annotations))
	if err != nil {
		return verdict{}, err
	}
	if !h.key.verifies(item.Payload, signature) {
		return verdict{}, s.mismatch(notVerifying(h, bySimple(item.Annotations)))
	}
	var p simplePayload
	if err := evidence.DecodeJSON(item.Payload, &p); err != nil {
		return verdict{}, malformed("a simple signing payload", err)
	}
	if err := checkSimple(image.Digest(), p); err != nil {
		return verdict{}, err
	}
	if err := s.checkAnnotations(p.Optional); err != nil {
		return verdict{}, err
	}
	if err := s.checkReference(image.Repository, p.Critical.Identity.Reference); err != nil {
		return verdict{}, err
	}
	times, err := s.provenOf(item.Annotations, func(body []byte) error {
		return checkBody(h, body, item.Payload, signature)
	}, signature)
	if err != nil {
		return verdict{}, h.claiming(err)
	}
	v, err := s.party.judge(h, times)
	v.key, v.reference = h.key.fingerprint(), p.Critical.Identity.Reference
	return v, err
}

// checkSimple binds a payload to the image (TRUST R21).
func checkSimple(image imageref.Digest, p simplePayload) error {
	if p.Critical.Type != simpleType {
		return &evidence.Problem{Reason: evidence.UnsupportedEvidence, Expected: "critical.type " + quote(simpleType), Got: quote(p.Critical.Type)}
	}
	signed, err := imageref.ParseDigest(p.Critical.Image.Digest)
	if err != nil {
		return malformed("critical.image.docker-manifest-digest", err)
	}
	if signed != image {
		return subjectMismatch("a signature of ", image.String(), "one of "+signed.String())
	}
	return nil
}

// provenOf checks what testifies to a signature whose log entry and timestamps
// are annotations. bound checks what the entry's body is of; a timestamp is of
// one of the messages.
func (s *Signer) provenOf(annotations map[string]string, bound func(body []byte) error, messages ...[]byte) (proven, error) {
	var p proven
	if s.options.TransparencyLog != LogIgnored {
		entry, err := s.checkLog(annotations[annotationLogEntry], bound)
		if err != nil {
			return proven{}, err
		}
		p.entries = []policy.LogFacts{entry}
	}
	tokens, err := simpleTimestamps(annotations[annotationTimestamp])
	if err != nil {
		return proven{}, err
	}
	if p.stamped, err = s.checkTimestamps(tokens, messages...); err != nil {
		return proven{}, err
	}
	return p, s.checkLogTimes(p)
}

// simpleTimestamps reads cosign's timestamp annotation; an empty one is as good
// as none.
func simpleTimestamps(annotation string) ([][]byte, error) {
	if annotation == "" {
		return nil, nil
	}
	var t struct {
		Token []byte `json:"SignedRFC3161Timestamp"`
	}
	if err := evidence.DecodeJSON([]byte(annotation), &t); err != nil {
		return nil, malformed("a timestamp in annotation "+annotationTimestamp, err)
	}
	if len(t.Token) == 0 {
		return nil, nil
	}
	return [][]byte{t.Token}, nil
}
