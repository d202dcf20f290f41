package sigstore

import (
	"encoding/base64"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// Annotations of a signature layer (cosign specs/SIGNATURE_SPEC.md).
const (
	annotationSignature   = "dev.cosignproject.cosign/signature"
	annotationCertificate = "dev.sigstore.cosign/certificate"
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

// verifySimple verifies a simple-signing payload and returns the reference that
// was signed. A certificate beside the signature is not looked at: the key
// decides.
func (k *Key) verifySimple(image evidence.Image, item evidence.Item) (verdict, error) {
	signature, err := base64.StdEncoding.DecodeString(item.Annotations[annotationSignature])
	if err != nil || len(signature) == 0 {
		return verdict{}, malformed("a signature in annotation "+annotationSignature, err)
	}
	if !k.key.verifies(item.Payload, signature) {
		return verdict{}, k.mismatch(bySimple(item.Annotations))
	}
	var p simplePayload
	if err := evidence.DecodeJSON(item.Payload, &p); err != nil {
		return verdict{}, malformed("a simple signing payload", err)
	}
	if err := checkSimple(image.Digest(), p); err != nil {
		return verdict{}, err
	}
	if err := k.checkAnnotations(p.Optional); err != nil {
		return verdict{}, err
	}
	if err := k.checkReference(image, p.Critical.Identity.Reference); err != nil {
		return verdict{}, err
	}
	made, err := k.checkSimpleTime(item, signature)
	return verdict{reference: p.Critical.Identity.Reference, made: made}, err
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
		return subjectMismatch("a signature of ", image, "one of "+signed.String())
	}
	return nil
}

// checkSimpleTime checks what testifies to the signature: the log and
// timestamps.
func (k *Key) checkSimpleTime(item evidence.Item, signature []byte) (time.Time, error) {
	var times []time.Time
	if k.options.TransparencyLog != LogIgnored {
		logged, err := k.checkLog(item.Annotations[annotationLogEntry], func(body []byte) error {
			return k.checkBody(body, item.Payload, signature)
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
	stamped, err := k.checkTimestamps(tokens, signature)
	if err != nil {
		return time.Time{}, err
	}
	return k.checkTimes(append(times, stamped...))
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
