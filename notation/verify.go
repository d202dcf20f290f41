package notation

import (
	"context"
	"errors"
	"fmt"

	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

var _ policy.Signer = (*Signer)(nil)

// Verify decides whether item is a signature by this signer of image. The
// repository that selects the statement is image.Repository; the descriptor
// that the signature must name is image.Manifest's, computed from its bytes
// (TRUST R21).
//
// Reason NotEnforced means that the signature passed all that its level
// enforces, and that the level does not enforce enough for a proof (TRUST R29).
func (s *Signer) Verify(ctx context.Context, image evidence.Image, item evidence.Item) (proof policy.Proof, err error) {
	source := fmt.Sprintf("%s %s[%d]", item.Format, item.Manifest, item.Layer)
	defer func() {
		// Three parsers of hostile bytes lie below, none of them ours.
		if r := recover(); r != nil {
			err = &evidence.Problem{Reason: evidence.Internal, Err: fmt.Errorf("verification panicked: %v", r)}
		}
		if err != nil {
			proof, err = policy.Proof{}, at(source, err)
		}
	}()
	proof, err = s.verify(ctx, image, item)
	proof.Source = source
	return proof, err
}

// at puts where a problem was found into it.
func at(source string, err error) error {
	p := *evidence.ProblemOf(err)
	if p.Path == "" {
		p.Path = source
	}
	return &p
}

func (s *Signer) verify(ctx context.Context, image evidence.Image, item evidence.Item) (policy.Proof, error) {
	if item.Format != evidence.Notation {
		return policy.Proof{}, &evidence.Problem{Reason: evidence.UnsupportedEvidence, Expected: evidence.Notation.String(), Got: item.Format.String()}
	}
	if image.Digest().IsZero() {
		return policy.Proof{}, &evidence.Problem{Reason: evidence.Internal, Expected: "an image with a digest", Got: "none"}
	}
	if err := interrupted(ctx); err != nil {
		return policy.Proof{}, err
	}
	st := s.statement(image.Repository)
	if st == nil {
		return policy.Proof{}, &evidence.Problem{Reason: evidence.OutOfScope, Expected: "a statement for " + image.Repository.String(), Got: s.Describe()}
	}
	if st.rules.skipped() {
		return policy.Proof{}, st.notEnforced("no signature of it is verified")
	}
	e, err := readEnvelope(item)
	if err != nil {
		return policy.Proof{}, err
	}
	if st.tsa() {
		if err := e.boundToken(); err != nil {
			return policy.Proof{}, err
		}
	}
	return s.judge(ctx, st, e, image)
}

// interrupted classifies a context that has ended.
func interrupted(ctx context.Context) error {
	switch err := ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return &evidence.Problem{Reason: evidence.DeadlineExceeded, Err: err}
	default:
		return &evidence.Problem{Reason: evidence.Cancelled, Err: err}
	}
}

// judge runs the library over an envelope and reads its outcome.
func (s *Signer) judge(ctx context.Context, st *statement, e envelope, image evidence.Image) (policy.Proof, error) {
	want := descriptorOf(image)
	c := &call{statement: st, revocation: s.revocation, envelope: e, plugins: s.plugins}
	target, targetErr := e.target()
	c.wanted = targetErr == nil && target.names(want)
	v, err := verifier.NewWithOptions(st.document, c, manager{c}, verifier.VerifierOptions{
		RevocationCodeSigningValidator:  validator{call: c},
		RevocationTimestampingValidator: validator{call: c, timestamping: true},
	})
	if err != nil {
		return policy.Proof{}, &evidence.Problem{Reason: evidence.Internal, Err: fmt.Errorf("make a verifier: %w", err)}
	}
	// The statement is selected already; its document covers every name, and
	// this one fits the library's idea of a reference, which some hosts do not.
	outcome, verifyErr := v.Verify(ctx, want, e.blob, notation.VerifierVerifyOptions{
		ArtifactReference: "selected.invalid/image@" + want.Digest.String(), SignatureMediaType: e.mediaType,
	})
	if outcome == nil {
		return policy.Proof{}, &evidence.Problem{Reason: evidence.Internal, Expected: "an outcome of the verification", Got: "none", Err: verifyErr}
	}
	j := judgement{call: c, outcome: outcome, err: verifyErr, target: target, targetErr: targetErr, want: want, host: s.host}
	proof, err := j.decide(ctx)
	if err == nil {
		return proof, nil
	}
	if ended := interrupted(ctx); ended != nil && evidence.ProblemOf(err).Undecided() {
		return policy.Proof{}, ended
	}
	return policy.Proof{}, err
}

func descriptorOf(image evidence.Image) ocispec.Descriptor {
	d := image.Manifest.Descriptor
	return ocispec.Descriptor{MediaType: d.MediaType, Digest: digest.Digest(d.Digest.String()), Size: d.Size}
}
