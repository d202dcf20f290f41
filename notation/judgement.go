package notation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/notaryproject/notation-core-go/signature"
	corex509 "github.com/notaryproject/notation-core-go/x509"
	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// judgement reads the library's outcome. The library tells failures apart by
// kind of validation and by text; the reasons are derived from the kind, from
// what the call was asked, and from the envelope itself, never from text.
type judgement struct {
	call      *call
	outcome   *notation.VerificationOutcome
	err       error // the library's verdict
	target    target
	targetErr error
	want      ocispec.Descriptor
	host      *PluginHost

	notes []string
	// What the signed attributes call for.
	named           bool // a plugin
	minVersion      string
	critical        []string
	attributeValues map[string]any
}

// decide returns a proof, or the first problem in the order in which they
// matter to a reader: what it is, whose it is, what it is for, whether it still
// holds. A problem that is only logged becomes a note.
func (j *judgement) decide(ctx context.Context) (policy.Proof, error) {
	plugin := func() error { return j.plugin(ctx) }
	for _, check := range []func() error{
		j.integrity, j.attributes, j.authenticity, j.subject, j.extensions,
		j.revoked, j.expiry, j.timestamp, j.revocation, j.agreement, plugin, j.enforcement,
	} {
		if err := check(); err != nil {
			return policy.Proof{}, err
		}
	}
	leaf := j.chain()[0]
	proof := policy.Proof{Identity: identityOf(leaf), Who: subjectOf(leaf), Expires: j.expires(), Notes: j.notes}
	if !j.call.statement.rules.proves() { // the name is the signer's own claim
		proof.Identity, proof.Who = "claimed "+proof.Identity, proof.Who+" (not enforced)"
	}
	return proof, nil
}

func (j *judgement) info() *signature.SignerInfo { return &j.outcome.EnvelopeContent.SignerInfo }

func (j *judgement) chain() []*x509.Certificate { return j.info().CertificateChain }

// result returns what became of a validation. One that did not happen is a
// fault of this package, since the earlier failures have been told by then.
func (j *judgement) result(t trustpolicy.ValidationType) (*notation.ValidationResult, error) {
	for _, r := range j.outcome.VerificationResults {
		if r != nil && r.Type == t {
			return r, nil
		}
	}
	return nil, &evidence.Problem{Reason: evidence.Internal, Expected: fmt.Sprintf("a result of validating %s", t), Got: "none", Err: j.err}
}

// failed reports a problem where it is enforced, else notes it.
func (j *judgement) failed(t trustpolicy.ValidationType, p *evidence.Problem) error {
	if j.call.statement.rules.enforces(t) {
		return p
	}
	j.notes = append(j.notes, fmt.Sprintf("%s is not enforced: %s: %s", t, p.Reason, p.Sentence()))
	return nil
}

// integrity: the envelope is a signature by its leaf, of a well-formed chain.
func (j *judgement) integrity() error {
	if j.outcome.EnvelopeContent != nil {
		r, err := j.result(trustpolicy.TypeIntegrity)
		if err != nil || r.Error == nil {
			return err
		}
	}
	return j.call.envelope.broken(j.err)
}

// broken tells why the library found no integrity. The library returns the
// reason as text, so the envelope is verified again.
func (e *envelope) broken(cause error) error {
	p := &evidence.Problem{Reason: evidence.MalformedEvidence, Expected: "a Notation envelope signed by its own certificate", Err: cause}
	parsed, err := signature.ParseEnvelope(e.mediaType, e.blob)
	if err != nil {
		return p
	}
	content, err := parsed.Verify()
	var algorithm *signature.UnsupportedSignatureAlgoError
	var key *signature.UnsupportedSigningKeyError
	switch {
	case err == nil && content.Payload.ContentType != payloadType:
		p.Reason, p.Expected, p.Got = evidence.UnsupportedEvidence, fmt.Sprintf("a payload of type %q", payloadType), fmt.Sprintf("%q", clip(content.Payload.ContentType))
	case errors.As(err, &algorithm), errors.As(err, &key):
		p.Reason, p.Expected = evidence.UnsupportedEvidence, "an algorithm of the Notary Project"
	default:
		if err := corex509.ValidateCodeSigningCertChain(e.chain, nil); err != nil {
			p.Reason, p.Expected, p.Err = evidence.CertificateInvalid, "a chain of code-signing certificates up to its root", err
		}
	}
	return p
}

// authenticity: the chain reaches the trust store and the leaf is a trusted
// identity.
func (j *judgement) authenticity() error {
	r, err := j.result(trustpolicy.TypeAuthenticity)
	if err != nil || r.Error == nil {
		return err
	}
	leaf := j.chain()[0]
	if j.call.anchor() == nil {
		root := j.chain()[len(j.chain())-1]
		return j.failed(trustpolicy.TypeAuthenticity, &evidence.Problem{
			Reason: evidence.CertificateUntrusted, Expected: "a certificate that descends from the trust store",
			Got: fmt.Sprintf("%q under root %q", subjectOf(leaf), subjectOf(root)),
		})
	}
	return j.failed(trustpolicy.TypeAuthenticity, &evidence.Problem{
		Reason: evidence.IdentityMismatch, Expected: few(j.call.statement.names), Got: fmt.Sprintf("%q", subjectOf(leaf)),
	})
}

// subject: the signature is for this image (TRUST R21).
func (j *judgement) subject() error {
	if j.targetErr != nil {
		return &evidence.Problem{Reason: evidence.MalformedEvidence, Expected: "a payload that names an image", Err: j.targetErr}
	}
	if !j.target.names(j.want) {
		want := target{MediaType: j.want.MediaType, Digest: j.want.Digest.String(), Size: j.want.Size}
		return &evidence.Problem{Reason: evidence.SubjectMismatch, Expected: "a signature of " + want.String(), Got: "one of " + j.target.String()}
	}
	return nil
}

// extensions: RFC 5280 §4.2 has a certificate rejected whose critical
// extension is not understood. The library verifies links one by one, where Go
// does not look.
func (j *judgement) extensions() error {
	for _, c := range j.chain() {
		if len(c.UnhandledCriticalExtensions) > 0 {
			return &evidence.Problem{
				Reason: evidence.CertificateInvalid, Expected: "certificates whose critical extensions are understood",
				Got: fmt.Sprintf("%q with extension %s", subjectOf(c), c.UnhandledCriticalExtensions[0]),
			}
		}
	}
	return nil
}

// revoked: a certificate that is known to be revoked ends it, whether or not
// the level enforces revocation (TRUST R29).
func (j *judgement) revoked() error {
	who := ""
	switch {
	case j.call.signer.status == Revoked:
		who = "signer"
	case j.call.timestamp.status == Revoked:
		who = "timestamp authority"
	default:
		return nil
	}
	return &evidence.Problem{Reason: evidence.CertificateRevoked, Expected: "a chain without revoked certificates", Got: "a revoked one of the " + who}
}

// expiry: the signature's own "best by" time.
func (j *judgement) expiry() error {
	r, err := j.result(trustpolicy.TypeExpiry)
	if err != nil || r.Error == nil {
		return err
	}
	return j.failed(trustpolicy.TypeExpiry, &evidence.Problem{
		Reason: evidence.SignatureExpired, Expected: "a signature that has not expired", Got: "one that expired on " + day(j.info().SignedAttributes.Expiry),
	})
}

// timestamp: the chain was valid at the time that a timestamp or a signing
// authority proves, or without one is valid now.
func (j *judgement) timestamp() error {
	r, err := j.result(trustpolicy.TypeAuthenticTimestamp)
	if err != nil || r.Error == nil {
		return err
	}
	p := &evidence.Problem{Reason: evidence.CertificateInvalid, Expected: "a chain that is valid now", Err: r.Error}
	switch {
	case j.info().SignedAttributes.SigningScheme == signature.SigningSchemeX509SigningAuthority:
		p.Expected = "a chain that was valid when the signing authority signed, " + day(j.info().SignedAttributes.SigningTime)
	case !j.call.statement.tsa():
	case j.call.timestamp.asked && !errors.Is(j.call.timestamp.err, errUnanchored) && j.call.timestamp.status == Unknown:
		p.Reason, p.Expected = evidence.RevocationUnknown, "a timestamp authority that is known not to be revoked"
		p.Err = errors.Join(j.call.timestamp.err)
	case len(j.info().UnsignedAttributes.TimestampSignature) == 0:
		p.Reason, p.Expected = evidence.TimestampMissing, "a timestamp by a trusted authority"
	default:
		p.Reason, p.Expected = evidence.TimestampInvalid, "a timestamp by a trusted authority, within the validity of the chain"
	}
	return j.failed(trustpolicy.TypeAuthenticTimestamp, p)
}

// revocation: what is not known to be revoked is known not to be.
func (j *judgement) revocation() error {
	if j.call.statement.rules[trustpolicy.TypeRevocation] == trustpolicy.ActionSkip {
		j.notes = append(j.notes, "revocation is not checked: the trust policy skips it")
		return nil
	}
	if p := j.call.plugin; p != nil && p.replaces(ReplacesRevocation) {
		j.notes = append(j.notes, fmt.Sprintf("revocation is left to the verification plugin %q", p.Name))
		return nil
	}
	r, err := j.result(trustpolicy.TypeRevocation)
	if err != nil || r.Error == nil && j.call.signer.asked && j.call.signer.status == Good {
		return err
	}
	return j.failed(trustpolicy.TypeRevocation, &evidence.Problem{
		Reason: evidence.RevocationUnknown, Expected: "a chain that is known not to be revoked", Got: fmt.Sprintf("%q", subjectOf(j.chain()[0])), Err: j.call.signer.err,
	})
}

// agreement: everything that we know of passed, and the library says so too.
func (j *judgement) agreement() error {
	if j.err != nil || j.outcome.Error != nil {
		return &evidence.Problem{Reason: evidence.Internal, Expected: "a verdict that the validations explain", Err: errors.Join(j.err, j.outcome.Error)}
	}
	return nil
}

// enforcement: only enforced integrity and authenticity prove (TRUST R29).
func (j *judgement) enforcement() error {
	st := j.call.statement
	if st.rules.proves() {
		return nil
	}
	if st.admits {
		j.notes = append(j.notes, fmt.Sprintf("admitted although level %q does not enforce who signed", st.level))
		return nil
	}
	return st.notEnforced(strings.Join(j.notes, "; "))
}

func (s *statement) notEnforced(detail string) error {
	got := fmt.Sprintf("level %q", s.level)
	if s.name != "" {
		got += fmt.Sprintf(" of trust policy %q", clip(s.name))
	}
	p := &evidence.Problem{Reason: evidence.NotEnforced, Expected: "a level that enforces integrity and authenticity", Got: got}
	if detail != "" {
		p.Err = errors.New(detail)
	}
	return p
}

// expires bounds the proof (TRUST R35). The chain's end counts where validity
// was judged at the current time; a bound that was passed and only logged says
// no more.
func (j *judgement) expires() time.Time {
	bounds := []time.Time{j.call.nextUpdate}
	attributes := j.info().SignedAttributes
	if r, err := j.result(trustpolicy.TypeExpiry); err == nil && r.Error == nil {
		bounds = append(bounds, attributes.Expiry)
	}
	r, err := j.result(trustpolicy.TypeAuthenticTimestamp)
	proven := attributes.SigningScheme == signature.SigningSchemeX509SigningAuthority || j.call.timestamp.asked
	if err == nil && r.Error == nil && !proven {
		for _, c := range j.chain() {
			bounds = append(bounds, c.NotAfter)
		}
	}
	return earliest(bounds...)
}

func day(t time.Time) string { return t.UTC().Format(time.RFC3339) }
