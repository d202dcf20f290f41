package native

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/internal/spelling"
	"github.com/bonafide-dev/bonafide/policy"
)

// maxAnnotations bounds annotations and extensions: each is looked for in each
// signature.
const maxAnnotations = 32

// party is who a Sigstore signer is: how to make it, and where in the document
// what a [dialect.SpecError] names was written.
type party struct {
	path   string
	make   func(dialect.SigstoreSpec) (policy.Signer, error)
	fields map[string]string
	// anybody is make with anySubject: true; nil where that cannot be said.
	anybody func(dialect.SigstoreSpec) (policy.Signer, error)
}

// remedied adds to an error about an identity what would mend it, if that is
// anySubject: true.
func (p party) remedied(spec dialect.SigstoreSpec, err error) error {
	if p.anybody == nil || !ofIdentity(err) {
		return err
	}
	if _, open := p.anybody(spec); ofIdentity(open) {
		return err
	}
	return fmt.Errorf("%w: say anySubject: true if that is meant", err)
}

// ofIdentity reports whether an error is about issuer or subject.
func ofIdentity(err error) bool {
	var wrong *dialect.SpecError
	return errors.As(err, &wrong) && (wrong.Field == dialect.FieldIssuer || wrong.Field == dialect.FieldSubject)
}

func (c *compiler) sigstore(path string, s *v1alpha1.SigstoreSigner) policy.Signer {
	failedBefore := len(c.Errors)
	c.ExactlyOne(path, dialect.Given("key", s.Key != nil), dialect.Given("keyless", s.Keyless != nil),
		dialect.Given("github", s.GitHub != nil), dialect.Given("certificate", s.Certificate != nil))
	root, rootPath := c.trustedRoot(path+".trustedRoot", s.TrustedRoot)
	spec := dialect.SigstoreSpec{
		SignedReference:    c.signedReference(path+".signedReference", s.SignedReference),
		LogIgnored:         c.transparencyLog(path+".transparencyLog", s),
		TimestampsRequired: choice(c, path+".timestamps", s.Timestamps, v1alpha1.TimestampsIfPresent, v1alpha1.TimestampsRequired) == 1,
		Annotations:        c.texts(path+".annotations", s.Annotations),
		TrustedRoot:        root,
		Repository:         c.place(path+".repository", s.Repository),
		TagPrefix:          s.TagPrefix,
	}
	var p party
	switch {
	case s.Key != nil:
		p = c.key(path+".key", s.Key)
	case s.Keyless != nil:
		p = c.keyless(path+".keyless", s.Keyless)
	case s.GitHub != nil:
		p = c.github(path+".github", s.GitHub)
	case s.Certificate != nil:
		p = c.certificate(path+".certificate", s.Certificate)
	}
	unread := c.Partial && s.Key == nil // what seems absent may be there
	if unread || p.make == nil || len(c.Errors) > failedBefore {
		return nil
	}
	made, err := p.make(spec)
	if err != nil {
		fields := map[string]string{
			dialect.FieldTransparencyLog: path + ".transparencyLog", dialect.FieldTimestamps: path + ".timestamps",
			dialect.FieldSignedReference: path + ".signedReference", dialect.FieldAnnotations: path + ".annotations",
			dialect.FieldTrustedRoot: rootPath, dialect.FieldRepository: path + ".repository", dialect.FieldTagPrefix: path + ".tagPrefix",
		}
		maps.Copy(fields, p.fields)
		c.Refused(p.remedied(spec, err), fields, p.path)
		return nil
	}
	return made
}

// transparencyLog reports whether the log is ignored (TRUST R25).
func (c *compiler) transparencyLog(path string, s *v1alpha1.SigstoreSigner) bool {
	if choice(c, path, s.TransparencyLog, v1alpha1.TransparencyLogRequired, v1alpha1.TransparencyLogIgnored) == 0 {
		return false
	}
	if s.Keyless != nil || s.GitHub != nil {
		c.Weaker(path, "Ignored accepts signatures that no transparency log has seen: nobody notices a certificate that was obtained by theft")
		return true
	}
	c.Weaker(path, "Ignored accepts signatures that no transparency log has seen: use of a stolen key leaves no trace")
	return true
}

// noReference is what few expect of a signer that compares references.
const noReference = "Sigstore bundles and attestations record no reference, so they are refused"

func (c *compiler) signedReference(path, s string) string {
	switch s {
	case "", v1alpha1.SignedReferenceAny:
		c.Note(path, "Any accepts a signature whichever reference it was made for, so one from another repository with the same image counts")
		return v1alpha1.SignedReferenceAny
	case v1alpha1.SignedReferenceMatchRepository:
		c.Note(path, noReference)
		return s
	}
	words := []string{v1alpha1.SignedReferenceAny, v1alpha1.SignedReferenceMatchRepository}
	if spelling.Nearest(s, words) != "" {
		c.Near(path, s, words, "expected %s or a repository, got %q", strings.Join(words, ", "), dialect.Clip(s))
		return s
	}
	c.repository(path, s, strings.Join(words, ", ")+" or a repository")
	c.Note(path, noReference)
	return s
}

// place returns another repository for signatures. A namespaced policy names
// none: it would be asked with the credentials of others (TRUST R17).
func (c *compiler) place(path, s string) string {
	switch {
	case s == "":
	case c.namespaced:
		c.Errorf(path, "expected none: a VerificationPolicy looks for signatures where the image is, for another repository would be asked with credentials that are not its own")
	default:
		c.repository(path, s, "a repository")
	}
	return s
}

func (c *compiler) repository(path, s, expected string) {
	_, err := c.options.Parser.Parse(s)
	switch {
	case err != nil:
		c.Errorf(path, "expected %s, got %q", expected, dialect.Clip(s))
	case strings.ContainsAny(s[strings.LastIndexByte(s, '/')+1:], ":@"):
		c.Errorf(path, "expected a repository without tag and digest, got %q", dialect.Clip(s))
	}
}

// texts checks names and values that must be stated. An empty value would read
// as if the name alone mattered.
func (c *compiler) texts(path string, values map[string]string) map[string]string {
	if !c.AtMost(path, len(values), maxAnnotations) {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch {
		case name == "":
			c.Errorf(path, "expected names, got an empty one")
		case values[name] == "":
			c.Missing(path+"."+name, "expected a value, got an empty one")
		}
	}
	return values
}

func (c *compiler) key(path string, k *v1alpha1.PublicKey) party {
	choice(c, path+".hash", k.Hash, v1alpha1.HashSHA224, v1alpha1.HashSHA256, v1alpha1.HashSHA384, v1alpha1.HashSHA512)
	spec := dialect.KeySpec{KMS: k.KMS, Hash: string(k.Hash)}
	fields := map[string]string{dialect.FieldHash: path + ".hash", dialect.FieldKMS: path + ".kms"}
	one := c.ExactlyOne(path, append(sources(k.Material), dialect.Given("kms", k.KMS != ""))...)
	switch {
	case k.KMS != "" && c.namespaced:
		c.Errorf(path+".kms", ownMaterial)
		return party{}
	case !one:
		return party{}
	case k.KMS == "":
		m, found := c.source(path, k.Material, keyEntry)
		if !found {
			return party{}
		}
		spec.PEM, fields[dialect.FieldKey] = m.content, m.path
	}
	return party{path: path, fields: fields, make: func(common dialect.SigstoreSpec) (policy.Signer, error) {
		spec.SigstoreSpec = common
		return c.signers.Key(spec)
	}}
}

func (c *compiler) certificate(path string, s *v1alpha1.SigningCertificate) party {
	spec := dialect.CertificateSpec{Subject: s.Subject, SubjectRegExp: s.SubjectRegExp, AnySubject: s.AnySubject}
	fields := map[string]string{dialect.FieldSubject: c.subject(path, s.Subject, s.SubjectRegExp, s.AnySubject)}
	if s.Certificate == nil && s.Chain == nil {
		c.Missing(path, "expected certificate or chain, got none")
	}
	if s.Certificate == nil && s.Subject == "" && s.SubjectRegExp == "" && !s.AnySubject {
		c.Missing(path, "expected subject or subjectRegExp beside a chain alone, or anySubject: true, got none")
	}
	if s.AnySubject {
		c.Weaker(path+".anySubject", "every certificate of the authorities counts, whoever it was issued to")
	}
	passed := c.passed
	if s.Certificate != nil {
		m, _ := c.read(path+".certificate", *s.Certificate, certificateEntry)
		spec.Certificate, fields[dialect.FieldCertificate] = m.content, m.path
	}
	if s.Chain != nil {
		m, _ := c.read(path+".chain", *s.Chain, certificatesEntry)
		spec.Chain, fields[dialect.FieldChain] = m.content, m.path
	}
	if c.passed > passed {
		return party{}
	}
	signer := func(anybody bool) func(dialect.SigstoreSpec) (policy.Signer, error) {
		return func(common dialect.SigstoreSpec) (policy.Signer, error) {
			spec := spec
			spec.SigstoreSpec, spec.AnySubject = common, anybody
			return c.signers.Certificate(spec)
		}
	}
	return party{path: path, fields: fields, make: signer(s.AnySubject), anybody: signer(true)}
}

// subject refuses two subjects and returns the path of the one that is set.
func (c *compiler) subject(path, text, expression string, anySubject bool) string {
	switch {
	case text != "" && expression != "":
		c.Errorf(path, "expected at most one of subject and subjectRegExp, got both")
		return path
	case text != "":
		return path + ".subject"
	case expression != "":
		return path + ".subjectRegExp"
	case anySubject:
		return path + ".anySubject"
	}
	return path
}
