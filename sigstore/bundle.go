package sigstore

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
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
)

// verifyBundle verifies a Sigstore bundle of version 0.1 to 0.3 with a statement
// of a predicate type, or if that is predicateSign one that signs the thing, by
// statement or by message (sigstore protobuf-specs, sigstore_bundle.proto).
func (s *Signer) verifyBundle(of thing, raw []byte, predicateType string) (verdict, error) {
	b, err := openBundle(raw)
	if err != nil {
		return verdict{}, err
	}
	var content signed
	switch {
	case b.GetDsseEnvelope() != nil:
		content, err = s.verifyDSSE(of, b, predicateType)
	case b.GetMessageSignature() != nil && predicateType != predicateSign && predicateType != anyType:
		err = notAttested(predicateType, "a signature of the image, which is no attestation")
	case b.GetMessageSignature() != nil:
		content, err = s.verifyMessage(of, b)
	default:
		err = malformed("a bundle with an envelope or a message signature", nil)
	}
	if err != nil {
		return verdict{}, err
	}
	times, err := s.provenByBundle(b, content)
	if err != nil {
		return verdict{}, content.by.claiming(err)
	}
	v, err := s.party.judge(content.by, times)
	v.key = content.by.key.fingerprint()
	if content.predicateType != predicateSign {
		v.statement, v.predicateType = content.payload, content.predicateType
	}
	return v, err
}

// signed is what a bundle's signature was found to cover.
type signed struct {
	by            holder
	message       message // that was signed
	signature     []byte
	payload       []byte // the statement, for an envelope
	predicateType string // of payload
}

// openBundle reads a bundle strictly: the JSON is checked before a reader that
// may be laxer sees it (TRUST R4), and the lists are counted before anything
// is done with them (R1).
func openBundle(raw []byte) (*protobundle.Bundle, error) {
	if n := commas(raw); n > maxParts {
		return nil, tooMany("parts of a bundle", maxParts, n)
	}
	if err := evidence.CheckJSON(raw); err != nil {
		return nil, malformed("a Sigstore bundle", err)
	}
	b := new(protobundle.Bundle)
	if err := protojson.Unmarshal(raw, b); err != nil {
		return nil, malformed("a Sigstore bundle", err)
	}
	if _, err := (&bundle.Bundle{Bundle: b}).Version(); err != nil {
		return nil, unsupported(err)
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

// commas is about how many values a JSON text has in lists and objects.
func commas(raw []byte) int { return bytes.Count(raw, []byte(",")) }

// enclosed is what came in a bundle's verification material.
func (s *Signer) enclosed(b *protobundle.Bundle) presented {
	material := b.GetVerificationMaterial()
	var certificates []*protocommon.X509Certificate
	switch {
	case material.GetCertificate() != nil:
		certificates = []*protocommon.X509Certificate{material.GetCertificate()}
	case material.GetX509CertificateChain() != nil:
		certificates = material.GetX509CertificateChain().GetCertificates()
		if len(certificates) == 0 {
			return presented{leaf: []byte{}, bundled: true, got: "a bundle with an empty chain", err: malformed("a certificate in a bundle's chain", nil)}
		}
	default:
		return presented{bundled: true, got: byHint(s.party, material), hint: hintOf(material)}
	}
	c := presented{leaf: certificates[0].GetRawBytes(), bundled: true}
	if c.leaf == nil {
		c.leaf = []byte{}
	}
	c.got = byDER(c.leaf)
	for _, further := range certificates[1:] {
		c.chain = append(c.chain, further.GetRawBytes())
	}
	return c
}

// verifyDSSE verifies a DSSE envelope with a statement (TRUST R21, R23, R24).
// Whose it is comes after its type: statements of other types are not looked at.
func (s *Signer) verifyDSSE(of thing, b *protobundle.Bundle, predicateType string) (signed, error) {
	e := b.GetDsseEnvelope()
	if err := checkPayloadType(e.GetPayloadType()); err != nil {
		return signed{}, err
	}
	if n := len(e.GetSignatures()); n != 1 {
		return signed{}, malformed(fmt.Sprintf("exactly one signature in an envelope, got %d", n), nil)
	}
	statement, err := parseStatement(e.GetPayload())
	if err != nil {
		return signed{}, err
	}
	if err := statement.checkType(predicateType); err != nil {
		return signed{}, err
	}
	from := s.enclosed(b)
	c := signed{
		message:   message{content: dsse.PAE(payloadInToto, e.GetPayload())},
		signature: e.GetSignatures()[0].GetSig(), payload: e.GetPayload(), predicateType: statement.PredicateType,
	}
	if c.by, err = s.party.holder(from); err != nil {
		return signed{}, err
	}
	// The key's name in an envelope is not signed and says nothing.
	e.Signatures[0].Keyid = ""
	if !c.by.key.verifiesOf(c.message, c.signature) {
		if c.by.key.verifies(e.GetPayload(), c.signature) {
			return signed{}, rawSignature()
		}
		return signed{}, s.mismatch(notVerifying(c.by, from.got))
	}
	return c, s.checkSubject(of, statement)
}

// verifyMessage verifies a signature over the bytes of an image's manifest or of a
// file (TRUST R21).
func (s *Signer) verifyMessage(of thing, b *protobundle.Bundle) (signed, error) {
	m, from := b.GetMessageSignature(), s.enclosed(b)
	c := signed{message: of.message, signature: m.GetSignature(), predicateType: predicateSign}
	if len(c.message.content) == 0 && len(c.message.sums) == 0 {
		return signed{}, &evidence.Problem{Reason: evidence.Internal, Expected: "the bytes of the image's manifest", Got: "none"}
	}
	var err error
	if c.by, err = s.party.holder(from); err != nil {
		return signed{}, err
	}
	if !c.by.key.verifiesOf(c.message, c.signature) {
		if another := signsAnother(c.by.key, m); another != "" {
			if hash, _ := hashNumbered(m.GetMessageDigest().GetAlgorithm()); of.message.sum(hash) == nil {
				return signed{}, &evidence.Problem{Reason: evidence.UnsupportedEvidence, Expected: "the artifact itself, or its digest by the hash that the signature is over", Got: of.name + " for a signature of " + another}
			}
			return signed{}, subjectMismatch("a signature of ", of.name, "one of "+another)
		}
		return signed{}, s.mismatch(notVerifying(c.by, from.got))
	}
	if err := checkMessageDigest(of, m); err != nil {
		return signed{}, err
	}
	if err := s.checkAnnotations(nil); err != nil {
		return signed{}, err
	}
	return c, s.checkReference(of.repository, "")
}

// checkMessageDigest compares the digest that a bundle states of its message
// with the message. It proves nothing, but readers go by it: log entries are
// compared with it.
func checkMessageDigest(of thing, m *protocommon.MessageSignature) error {
	hash, name := hashNumbered(m.GetMessageDigest().GetAlgorithm())
	if hash == 0 {
		return malformed("a message signature with a digest by SHA-2", nil)
	}
	if own := of.message.sum(hash); own != nil && !slices.Equal(own, m.GetMessageDigest().GetDigest()) {
		return malformed(fmt.Sprintf("a message signature that states the digest of its message, got one that states %s:%x", name, m.GetMessageDigest().GetDigest()), nil)
	}
	return nil
}

// signsAnother returns the digest of the message that the key did sign, if it is
// the one that the bundle states rather than ours.
func signsAnother(key publicKey, m *protocommon.MessageSignature) string {
	hash, name := hashNumbered(m.GetMessageDigest().GetAlgorithm())
	digest := m.GetMessageDigest().GetDigest()
	if hash == 0 || !key.verifiesSum(hash, digest, m.GetSignature()) {
		return ""
	}
	return name + ":" + hex.EncodeToString(digest)
}

// unsupported classifies what sigstore-go says of a bundle's form.
func unsupported(err error) error {
	if errors.Is(err, bundle.ErrUnsupportedMediaType) {
		return &evidence.Problem{Reason: evidence.UnsupportedEvidence, Expected: "a Sigstore bundle of version 0.1, 0.2 or 0.3", Err: err}
	}
	return malformed("a Sigstore bundle", err)
}
