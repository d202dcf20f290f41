package sigstore

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/bonafide-dev/bonafide/evidence"
)

const (
	// maxLogEntries bounds the log entries of one bundle (TRUST R1;
	// CVE-2024-45395).
	maxLogEntries = 32

	// maxParts bounds what reading a bundle, an envelope or a log entry costs,
	// before what they list is counted: the commas in them. Text in base64 has
	// none, and the most entries with the longest proofs have some 3000.
	maxParts = 1 << 14

	// payloadInToto is the payload type of in-toto statements (in-toto
	// attestation spec/v1/envelope.md).
	payloadInToto = "application/vnd.in-toto+json"
	// oldestBundle is the first version that cosign stores with images.
	oldestBundle = "v0.3"
)

// verifyBundle verifies a Sigstore bundle with a statement about the image of a
// predicate type, or if that is predicateSign one that signs the image, by
// statement or by message (sigstore protobuf-specs, sigstore_bundle.proto).
func (k *Key) verifyBundle(image evidence.Image, item evidence.Item, predicateType string) (verdict, error) {
	b, err := openBundle(item.Payload)
	if err != nil {
		return verdict{}, err
	}
	var content signed
	switch {
	case b.GetDsseEnvelope() != nil:
		content, err = k.openEnvelope(image, b, predicateType)
	case b.GetMessageSignature() != nil && predicateType != predicateSign:
		err = notAttested(predicateType, "a signature of the image, which is no attestation")
	case b.GetMessageSignature() != nil:
		content, err = k.openMessage(image, b)
	default:
		err = malformed("a bundle with an envelope or a message signature", nil)
	}
	if err != nil {
		return verdict{}, err
	}
	made, err := k.checkBundleTime(b, content)
	v := verdict{made: made}
	if predicateType != predicateSign {
		v.statement, v.predicateType = content.payload, predicateType
	}
	return v, err
}

// signed is what a bundle's signature was found to cover.
type signed struct {
	message   []byte // the bytes that were signed
	payload   []byte // the statement, for an envelope
	signature []byte
	artifact  verify.ArtifactPolicyOption
}

// openBundle reads a bundle strictly: the JSON is checked before a reader that
// may be laxer sees it (TRUST R4), and the lists are counted before anything
// is done with them (R1).
func openBundle(raw []byte) (*protobundle.Bundle, error) {
	if n := parts(raw); n > maxParts {
		return nil, tooMany("parts of a bundle", maxParts, n)
	}
	if err := evidence.CheckJSON(raw); err != nil {
		return nil, malformed("a Sigstore bundle", err)
	}
	b := new(protobundle.Bundle)
	if err := protojson.Unmarshal(raw, b); err != nil {
		return nil, malformed("a Sigstore bundle", err)
	}
	if !(&bundle.Bundle{Bundle: b}).MinVersion(oldestBundle) {
		return nil, &evidence.Problem{Reason: evidence.UnsupportedEvidence, Expected: "a Sigstore bundle of version 0.3 or later", Got: quote(b.GetMediaType())}
	}
	material := b.GetVerificationMaterial()
	if material == nil {
		return nil, malformed("a bundle with verification material", nil)
	}
	if n := len(material.GetTlogEntries()); n > maxLogEntries {
		return nil, tooMany("log entries", maxLogEntries, n)
	}
	if n := len(material.GetTimestampVerificationData().GetRfc3161Timestamps()); n > maxTimestamps {
		return nil, tooMany("timestamps", maxTimestamps, n)
	}
	return b, nil
}

// parts is about how many values a JSON text has in lists and objects.
func parts(raw []byte) int { return bytes.Count(raw, []byte(",")) }

// certificateOf returns the signing certificate in DER, or nil for a bundle
// that names a key.
func certificateOf(b *protobundle.Bundle) []byte {
	material := b.GetVerificationMaterial()
	if c := material.GetCertificate(); c != nil {
		return append([]byte{}, c.GetRawBytes()...)
	}
	if chain := material.GetX509CertificateChain(); chain != nil {
		if len(chain.GetCertificates()) == 0 {
			return []byte{}
		}
		return append([]byte{}, chain.GetCertificates()[0].GetRawBytes()...)
	}
	return nil
}

// openEnvelope verifies a DSSE envelope with a statement about the image (TRUST
// R21, R23, R24). Whose it is comes after its type: statements of other types
// are not looked at.
func (k *Key) openEnvelope(image evidence.Image, b *protobundle.Bundle, predicateType string) (signed, error) {
	e := b.GetDsseEnvelope()
	if err := checkPayloadType(e.GetPayloadType()); err != nil {
		return signed{}, err
	}
	if n := len(e.GetSignatures()); n != 1 {
		return signed{}, malformed(fmt.Sprintf("exactly one signature in an envelope, got %d", n), nil)
	}
	s, err := parseStatement(e.GetPayload())
	if err != nil {
		return signed{}, err
	}
	if err := s.checkType(predicateType); err != nil {
		return signed{}, err
	}
	if certificate := certificateOf(b); certificate != nil {
		return signed{}, k.mismatch(byCertificate(certificate))
	}
	// The key's name in an envelope is not signed and says nothing.
	e.Signatures[0].Keyid = ""
	c := signed{message: dsse.PAE(payloadInToto, e.GetPayload()), payload: e.GetPayload(), signature: e.GetSignatures()[0].GetSig()}
	if !k.key.verifies(c.message, c.signature) {
		return signed{}, k.notByKey(b, e, c)
	}
	if err := k.checkSubject(image, s); err != nil {
		return signed{}, err
	}
	digest, err := digestBytes(image.Digest())
	c.artifact = verify.WithArtifactDigest(image.Digest().Algorithm(), digest)
	return c, err
}

func (k *Key) notByKey(b *protobundle.Bundle, e *protodsse.Envelope, c signed) error {
	if k.key.verifies(e.GetPayload(), c.signature) {
		return rawSignature()
	}
	return k.mismatch(k.byHint(b.GetVerificationMaterial()))
}

// openMessage verifies a signature over the bytes of the image's manifest
// (TRUST R21).
func (k *Key) openMessage(image evidence.Image, b *protobundle.Bundle) (signed, error) {
	if certificate := certificateOf(b); certificate != nil {
		return signed{}, k.mismatch(byCertificate(certificate))
	}
	m := b.GetMessageSignature()
	c := signed{message: image.Manifest.Raw, signature: m.GetSignature(), artifact: verify.WithArtifact(bytes.NewReader(image.Manifest.Raw))}
	if len(c.message) == 0 {
		return signed{}, &evidence.Problem{Reason: evidence.Internal, Expected: "the bytes of the image's manifest", Got: "none"}
	}
	if !k.key.verifies(c.message, c.signature) {
		if another, of := k.signsAnother(m); another {
			return signed{}, subjectMismatch("a signature of ", image.Digest(), "one of "+of)
		}
		return signed{}, k.mismatch(k.byHint(b.GetVerificationMaterial()))
	}
	if err := k.checkAnnotations(nil); err != nil {
		return signed{}, err
	}
	return c, k.checkReference(image, "")
}

// signsAnother reports whether the key did sign, but the message that the
// bundle's digest names rather than our image.
func (k *Key) signsAnother(m *protocommon.MessageSignature) (bool, string) {
	hash, name := hashNamed(m.GetMessageDigest().GetAlgorithm())
	digest := m.GetMessageDigest().GetDigest()
	if hash == 0 || !k.key.verifiesSum(hash, digest, m.GetSignature()) {
		return false, ""
	}
	return true, name + ":" + hex.EncodeToString(digest)
}

func hashNamed(a protocommon.HashAlgorithm) (crypto.Hash, string) {
	switch a {
	case protocommon.HashAlgorithm_SHA2_256:
		return crypto.SHA256, "sha256"
	case protocommon.HashAlgorithm_SHA2_384:
		return crypto.SHA384, "sha384"
	case protocommon.HashAlgorithm_SHA2_512:
		return crypto.SHA512, "sha512"
	default:
		return 0, ""
	}
}

// unsupported classifies what sigstore-go says of a bundle's form.
func unsupported(err error) error {
	if errors.Is(err, bundle.ErrUnsupportedMediaType) {
		return &evidence.Problem{Reason: evidence.UnsupportedEvidence, Expected: "a Sigstore bundle of a known version", Err: err}
	}
	return malformed("a Sigstore bundle", err)
}
