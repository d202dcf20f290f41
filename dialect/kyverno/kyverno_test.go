package kyverno_test

import (
	"context"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/internal/dialecttest"
	"github.com/bonafide-dev/bonafide/dialect/kyverno"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// fakeSigner is a signer that says what it was made of.
type fakeSigner struct {
	policy.Attestor

	made string
}

func (s fakeSigner) Describe() string    { return s.made }
func (s fakeSigner) ID() policy.SignerID { return policy.SignerID(s.made) }
func (s fakeSigner) Need() evidence.Need { return evidence.Need{SimpleSigning: true} }
func (s fakeSigner) Verify(context.Context, evidence.Image, evidence.Item) (policy.Proof, error) {
	return policy.Proof{}, errors.New("not asked here")
}

// fakeSigners refuse what the verifiers refuse, as far as these tests go.
type fakeSigners struct {
	noRoot bool
	noHash bool // keys bring their own, as Ed25519 does
}

func (f fakeSigners) Key(s dialect.KeySpec) (policy.Signer, error) {
	block, rest := pem.Decode(s.PEM)
	switch {
	case s.KMS == "awskms://unknown":
		return nil, specError(dialect.FieldKMS, "expected a key, got none")
	case s.KMS != "":
		return fakeSigner{made: fmt.Sprintf("key %s hash=%q%s", s.KMS, s.Hash, describeSpec(s.SigstoreSpec))}, nil
	case block == nil:
		return nil, specError(dialect.FieldKey, "expected a PEM public key, got text that is not PEM")
	case block.Type != "PUBLIC KEY" || len(rest) > 0:
		return nil, specError(dialect.FieldKey, "expected a PEM public key, got a "+strings.ToLower(block.Type))
	case s.Hash != "" && f.noHash:
		return nil, specError(dialect.FieldHash, "expected no hash with the key, got one")
	case !s.LogIgnored && f.noRoot:
		return nil, specError(dialect.FieldTransparencyLog, "expected a trusted root for the log that is required, got none")
	}
	return fakeSigner{made: fmt.Sprintf("key %s hash=%q%s", imageref.DigestOf(block.Bytes).Hex()[:8], s.Hash, describeSpec(s.SigstoreSpec))}, nil
}

func specError(field, text string) error {
	return &dialect.SpecError{Field: field, Index: -1, Err: errors.New(text)}
}

// describeSpec writes what all Sigstore signers have in common.
func describeSpec(s dialect.SigstoreSpec) string {
	text := fmt.Sprintf(" logIgnored=%t annotations=%v", s.LogIgnored, s.Annotations)
	if s.Repository != "" {
		text += " repository=" + s.Repository
	}
	if s.TrustedRoot == nil {
		return text
	}
	p := s.TrustedRoot.Parts
	return text + fmt.Sprintf(" root=%d/%d/%d/%d rest=%t", len(p.Fulcio), len(p.Rekor), len(p.CTLogs), len(p.TimestampAuthorities), p.Rest)
}

func (f fakeSigners) Certificate(s dialect.CertificateSpec) (policy.Signer, error) {
	count := func(text []byte) int { return strings.Count(string(text), "-----BEGIN CERTIFICATE-----") }
	switch {
	case s.Certificate != nil && count(s.Certificate) != 1:
		return nil, specError(dialect.FieldCertificate, "expected a certificate, got none")
	case s.Chain != nil && count(s.Chain) == 0:
		return nil, specError(dialect.FieldChain, "expected certificates, got none")
	}
	return fakeSigner{made: fmt.Sprintf("certificate %d chain %d any=%t%s", count(s.Certificate), count(s.Chain), s.AnySubject, describeSpec(s.SigstoreSpec))}, nil
}

func (f fakeSigners) Keyless(s dialect.KeylessSpec) (policy.Signer, error) {
	for _, w := range []struct{ field, text, expression string }{{dialect.FieldIssuer, s.Issuer, s.IssuerRegExp}, {dialect.FieldSubject, s.Subject, s.SubjectRegExp}} {
		re, err := regexp.Compile(w.expression)
		switch {
		case err != nil:
			return nil, specError(w.field, "expected a regular expression")
		case w.expression == "" && w.text == "":
			return nil, specError(w.field, "expected one, got none")
		case w.expression != "" && re.MatchString("nobody in particular") && !s.AnySubject:
			return nil, specError(w.field, "expected a pattern that does not admit everybody")
		}
	}
	switch p := s.TrustedRoot; {
	case p != nil && len(p.Parts.Fulcio) > 0 && !strings.Contains(string(p.Parts.Fulcio[0]), "CERTIFICATE"):
		return nil, &dialect.SpecError{Field: dialect.FieldTrustedRoot, Err: specError(dialect.FieldFulcio, "fulcio[0]: expected a certificate")}
	case p == nil && f.noRoot:
		return nil, specError(dialect.FieldTrustedRoot, "expected a trusted root with a certificate authority, got none")
	}
	return fakeSigner{made: fmt.Sprintf("keyless %s%s by %s%s any=%t ctLogIgnored=%t source=%q extensions=%v%v%s", s.Subject, s.SubjectRegExp, s.Issuer, s.IssuerRegExp,
		s.AnySubject, s.CTLogIgnored, s.SourceRepository, s.Extensions, s.ExtensionsRegExp, describeSpec(s.SigstoreSpec))}, nil
}

func (f fakeSigners) Notation(s dialect.NotationSpec) (policy.Signer, error) {
	var stores []string
	for i, store := range s.TrustStores {
		if !strings.Contains(string(store.Certificates), "CERTIFICATE") {
			return nil, &dialect.SpecError{Field: dialect.FieldTrustStores, Index: i, Err: errors.New("expected certificates, got none")}
		}
		stores = append(stores, store.Type)
	}
	return fakeSigner{made: fmt.Sprintf("notation %s %q level=%s", strings.Join(stores, "+"), s.TrustedIdentities, s.Level)}, nil
}

// compile loads a document as an operator's file.
func compile(tb testing.TB, name, text string, signers dialect.Signers, o kyverno.Options) ([]policy.Policy, error) {
	tb.Helper()
	documents, parsed := dialect.Parse(name, []byte(text))
	loader := dialect.Loader{Dialects: []dialect.Dialect{kyverno.New(signers, o)}}
	policies, _, loaded := loader.Load(documents)
	failed := append(dialect.ErrorsOf(parsed, name), dialect.ErrorsOf(loaded, name)...)
	return policies, failed.Err()
}

func TestCorpus(t *testing.T) {
	dialecttest.Corpus(t, *update, func(t *testing.T, name, text string) (string, error) {
		policies, err := compile(t, name, text, fakeSigners{}, kyverno.Options{})
		return describe(policies), err
	})
}

// describe writes policies as text for people to review.
func describe(policies []policy.Policy) string {
	var b strings.Builder
	for _, p := range policies {
		fmt.Fprintf(&b, "%s %s %s (%s)\n", p.Origin.Kind, p.Origin, p.Origin.Entry, p.Origin.File)
		for _, i := range p.Include {
			fmt.Fprintf(&b, "  include %s\n", i)
		}
		for _, e := range p.Exclude {
			fmt.Fprintf(&b, "  exclude %s\n", e)
		}
		for _, s := range p.PullSecrets {
			fmt.Fprintf(&b, "  pull secret %s/%s\n", s.Namespace, s.Name)
		}
		fmt.Fprintf(&b, "  mode %s onUndecided %s pin %s %v\n", p.Mode, p.OnUndecided, p.Pin, p.PinKinds)
		tree(&b, p.Require, "  ")
		for _, n := range p.Notes {
			fmt.Fprintf(&b, "  note weakening=%t %s: %s\n", n.Weakening, n.Path, n.Text)
		}
	}
	return b.String()
}

func tree(b *strings.Builder, r policy.Requirement, indent string) {
	branch := func(title string, of []policy.Requirement) {
		fmt.Fprintf(b, "%s%s\n", indent, title)
		for _, child := range of {
			tree(b, child, indent+"  ")
		}
	}
	switch n := r.(type) {
	case policy.All:
		branch("all", n.Of)
	case policy.AnyOf:
		branch("any", n.Of)
	case policy.AtLeast:
		branch(fmt.Sprintf("at least %d of %s", n.Count, n.Name), n.Of)
	case policy.Signature:
		fmt.Fprintf(b, "%ssignature %s: %s\n", indent, n.Where, n.Signer.Describe())
	case policy.Attestation:
		fmt.Fprintf(b, "%sattestation %s: %s %s\n", indent, n.Where, n.Quantifier, n.Type)
		for _, s := range n.Signers {
			fmt.Fprintf(b, "%s  by %s\n", indent, s.Signer.Describe())
		}
		for _, c := range n.Conditions {
			fmt.Fprintf(b, "%s  if %s\n", indent, c)
		}
	default:
		fmt.Fprintf(b, "%s%T\n", indent, r)
	}
}

// specOf is the specification of a key of these tests.
func specOf(name string) dialect.KeySpec { return dialect.KeySpec{PEM: []byte(testKeys()[name])} }
