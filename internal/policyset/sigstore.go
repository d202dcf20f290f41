package policyset

import (
	"crypto"
	"fmt"
	"strings"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// The verifier's errors name no field, so each signer is made in steps, each
// with one more of what the policy says: the step that fails names the field.
// What is not known yet (see [Material]) has a stand-in meanwhile, so that a
// policy is checked as a whole when it is loaded.

// field is the error of one field of a specification. The dialect says where
// that was written, so the verifier's own word for it is left out.
func field(name string, err error) error {
	if text, said := strings.CutPrefix(err.Error(), verifiersWord(name)+": "); said {
		err = &unprefixed{text: text, err: err}
	}
	return &dialect.SpecError{Field: name, Index: -1, Err: err}
}

// verifiersWord is what the verifier calls a field.
func verifiersWord(name string) string {
	switch name {
	case dialect.FieldKey, dialect.FieldKMS, dialect.FieldHash:
		return "public key"
	case dialect.FieldTrustedRoot:
		return "trusted root"
	case dialect.FieldTransparencyLog:
		return "transparency log"
	case dialect.FieldCTLog:
		return "certificate transparency log"
	}
	return name
}

// unprefixed is an error in fewer words.
type unprefixed struct {
	text string
	err  error
}

func (e *unprefixed) Error() string { return e.text }

func (e *unprefixed) Unwrap() error { return e.err }

// common are the options that all signers have.
type common struct {
	// options are complete, but for what the checks of the steps are about: they
	// ask for no log and no timestamp.
	options    sigstore.Options
	log        sigstore.Log
	timestamps sigstore.Timestamps
	// pending says why the trusted root is not known, if it is not.
	pending *evidence.Problem
}

func (s Signers) common(spec dialect.SigstoreSpec) (common, error) {
	c := common{log: sigstore.LogRequired}
	if spec.LogIgnored {
		c.log = sigstore.LogIgnored
	}
	if spec.TimestampsRequired {
		c.timestamps = sigstore.TimestampsRequired
	}
	reference, err := s.signedReference(spec.SignedReference)
	if err != nil {
		return common{}, field(dialect.FieldSignedReference, err)
	}
	place, err := s.place(spec)
	if err != nil {
		return common{}, err
	}
	root, pending, err := s.root(spec.TrustedRoot)
	if err != nil {
		return common{}, field(dialect.FieldTrustedRoot, err)
	}
	c.options = sigstore.Options{
		TransparencyLog: sigstore.LogIgnored, TrustedRoot: root, SignedReference: reference, Annotations: spec.Annotations, Place: place,
	}
	c.pending = pending
	return c, nil
}

// asking returns the options with what the policy asks of logs and authorities.
func (c common) asking(log sigstore.Log, timestamps sigstore.Timestamps) sigstore.Options {
	o := c.options
	o.TransparencyLog, o.Timestamps = log, timestamps
	return o
}

// steps makes a signer with what it asks of logs, then also of authorities.
func (c common) steps(build func(sigstore.Options) (*sigstore.Signer, error)) (*sigstore.Signer, error) {
	if _, err := build(c.asking(c.log, sigstore.TimestampsIfPresent)); err != nil {
		return nil, field(dialect.FieldTransparencyLog, err)
	}
	made, err := build(c.asking(c.log, c.timestamps))
	if err != nil {
		return nil, field(dialect.FieldTimestamps, err)
	}
	return made, nil
}

func (s Signers) signedReference(text string) (sigstore.SignedReference, error) {
	switch text {
	case "", "Any":
		return sigstore.SignedReference{}, nil
	case "MatchRepository":
		return sigstore.MatchRepository(), nil
	}
	r, err := s.Parser.Parse(text)
	if err != nil {
		return sigstore.SignedReference{}, err
	}
	return sigstore.SignedFor(r.Repository()), nil
}

func (s Signers) place(spec dialect.SigstoreSpec) (evidence.Place, error) {
	place := evidence.Place{TagPrefix: spec.TagPrefix}
	if err := place.Validate(); err != nil {
		return evidence.Place{}, field(dialect.FieldTagPrefix, err)
	}
	if spec.Repository == "" {
		return place, nil
	}
	r, err := s.Parser.Parse(spec.Repository)
	if err != nil {
		return evidence.Place{}, field(dialect.FieldRepository, err)
	}
	place.Repository = r.Repository()
	return place, nil
}

// Key implements [dialect.Signers].
func (s Signers) Key(spec dialect.KeySpec) (policy.Signer, error) {
	hash, err := hashOf(spec.Hash)
	if err != nil {
		return nil, field(dialect.FieldHash, err)
	}
	named := dialect.FieldKey
	pem, pending := spec.PEM, (*evidence.Problem)(nil)
	if spec.KMS != "" {
		named = dialect.FieldKMS
		if pem, pending, err = s.kms(spec); err != nil {
			return nil, field(named, err)
		}
	}
	c, err := s.common(spec.SigstoreSpec)
	if err != nil {
		return nil, err
	}
	options := sigstore.KeyOptions{Options: c.options}
	if _, err := sigstore.NewKey(pem, options); err != nil {
		return nil, field(named, err)
	}
	if pending == nil {
		options.Hash = hash
	}
	if _, err := sigstore.NewKey(pem, options); err != nil {
		return nil, field(dialect.FieldHash, err)
	}
	made, err := c.steps(func(o sigstore.Options) (*sigstore.Signer, error) {
		options.Options = o
		return sigstore.NewKey(pem, options)
	})
	switch {
	case err != nil:
		return nil, err
	case pending != nil:
		return standIn(spec, "key "+spec.KMS, pending), nil
	}
	return c.known(spec, made), nil
}

func hashOf(name string) (crypto.Hash, error) {
	switch name {
	case "":
		return 0, nil
	case "sha224":
		return crypto.SHA224, nil
	case "sha256":
		return crypto.SHA256, nil
	case "sha384":
		return crypto.SHA384, nil
	case "sha512":
		return crypto.SHA512, nil
	}
	return 0, fmt.Errorf("expected sha224, sha256, sha384 or sha512, got %.50q", name)
}

// Certificate implements [dialect.Signers].
func (s Signers) Certificate(spec dialect.CertificateSpec) (policy.Signer, error) {
	c, err := s.common(spec.SigstoreSpec)
	if err != nil {
		return nil, err
	}
	subject, err := matchOf(spec.Subject, spec.SubjectRegExp, sigstore.Matching)
	if err != nil {
		return nil, field(dialect.FieldSubject, err)
	}
	options := sigstore.CertificateOptions{Options: c.options, Certificate: spec.Certificate, Now: s.Now}
	if len(spec.Certificate) > 0 {
		if _, err := sigstore.NewCertificate(options); err != nil {
			return nil, field(dialect.FieldCertificate, err)
		}
	}
	options.Chain, options.AnySubject = spec.Chain, len(spec.Certificate) == 0
	if _, err := sigstore.NewCertificate(options); err != nil {
		return nil, field(dialect.FieldChain, err)
	}
	options.Subject, options.AnySubject = subject, spec.AnySubject
	if _, err := sigstore.NewCertificate(options); err != nil {
		return nil, field(dialect.FieldSubject, err)
	}
	made, err := c.steps(func(o sigstore.Options) (*sigstore.Signer, error) {
		options.Options = o
		return sigstore.NewCertificate(options)
	})
	if err != nil {
		return nil, err
	}
	return c.known(spec, made), nil
}
