package native_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/internal/dialecttest"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// fakeSigner is a signer that says what it was made of.
type fakeSigner struct {
	policy.Signer

	made string
}

func (s fakeSigner) Describe() string    { return s.made }
func (s fakeSigner) ID() policy.SignerID { return policy.SignerID(s.made) }

// fakeAttestor is a signer that also signs statements.
type fakeAttestor struct{ fakeSigner }

func (fakeAttestor) StatementNeed() evidence.Need { return evidence.Need{} }

func (fakeAttestor) VerifyStatement(context.Context, evidence.Image, evidence.Item, string) (policy.Proof, error) {
	return policy.Proof{}, errors.New("not asked in these tests")
}

// fakeSigners refuse what the verifiers refuse, as far as these tests go.
type fakeSigners struct{ noRoot bool }

func (f fakeSigners) Key(s dialect.KeySpec) (policy.Signer, error) {
	if s.KMS != "" {
		return specSigner("key", s), nil
	}
	block, _ := pem.Decode(s.PEM)
	switch {
	case block == nil:
		return nil, &dialect.SpecError{Field: dialect.FieldKey, Err: errors.New("expected a PEM public key, got text that is not PEM")}
	case block.Type != "PUBLIC KEY":
		return nil, &dialect.SpecError{Field: dialect.FieldKey, Err: fmt.Errorf("expected a PEM public key, got a %s", strings.ToLower(block.Type))}
	case !s.LogIgnored && f.noRoot:
		return nil, &dialect.SpecError{Field: dialect.FieldTransparencyLog, Err: errors.New("expected a trusted root for the log that is required, got none")}
	}
	sum := imageref.DigestOf(s.PEM).Hex()[:8]
	s.PEM = nil
	return specSigner("key "+sum, s), nil
}

func (f fakeSigners) Notation(s dialect.NotationSpec) (policy.Signer, error) {
	var stores []string
	for i, store := range s.TrustStores {
		if !strings.Contains(string(store.Certificates), "CERTIFICATE") {
			return nil, &dialect.SpecError{Field: dialect.FieldTrustStores, Index: i, Err: errors.New("expected certificates, got none")}
		}
		stores = append(stores, store.Type)
	}
	made := fmt.Sprintf("notation %s %q level=%s override=%v timestamp=%q",
		strings.Join(stores, "+"), s.TrustedIdentities, s.Level, s.Override, s.VerifyTimestamp)
	for _, p := range s.Plugins {
		made += fmt.Sprintf(" plugin=%s@%.8s replaces=%v config=%v", p.Name, p.SHA256, p.Replaces, p.Config)
	}
	return fakeSigner{made: made}, nil
}

// compile loads a document as an operator's file.
func compile(tb testing.TB, name, text string, signers dialect.Signers, o native.Options) ([]policy.Policy, error) {
	tb.Helper()
	documents, parsed := dialect.Parse(name, []byte(text))
	loader := dialect.Loader{
		Dialects: []dialect.Dialect{native.New(signers, o)},
		ReadFile: func(d dialect.Document, path string) ([]byte, error) {
			if path != "keys/release.pub" {
				return nil, fmt.Errorf("%w: file %q", dialect.ErrNoMaterial, path)
			}
			return []byte(publicKey), nil
		},
	}
	policies, _, loaded := loader.Load(documents)
	failed := append(dialect.ErrorsOf(parsed, name), dialect.ErrorsOf(loaded, name)...)
	return policies, failed.Err()
}

const publicKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8nXRh950IZbRj8Ra/N9sbqOPZrfM
5/KAQN0/KjHcorm/J5yctVd7iEcnessRQjU917hmKO6JWVGHpDguIyakZA==
-----END PUBLIC KEY-----
`

func TestCorpus(t *testing.T) {
	dialecttest.Corpus(t, *update, func(t *testing.T, name, text string) (string, error) {
		policies, err := compile(t, name, text, fakeSigners{}, native.Options{})
		return describe(policies), err
	})
}

// describe writes policies as text for people to review.
func describe(policies []policy.Policy) string {
	var b strings.Builder
	for _, p := range policies {
		fmt.Fprintf(&b, "%s %s (%s)\n", p.Origin.Kind, p.Origin, p.Origin.File)
		for _, i := range p.Include {
			fmt.Fprintf(&b, "  include %s\n", i)
		}
		for _, e := range p.Exclude {
			fmt.Fprintf(&b, "  exclude %s\n", e)
		}
		fmt.Fprintf(&b, "  match %t mode %s onUndecided %s pin %s %v platform %s %v\n", p.Match != nil, p.Mode, p.OnUndecided, p.Pin, p.PinKinds, p.Platform, p.Platforms)
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
		branch(fmt.Sprintf("at least %d of group %s", n.Count, n.Name), n.Of)
	case policy.Signature:
		fmt.Fprintf(b, "%ssignature %s: %s\n", indent, n.Name, n.Signer.Describe())
	case policy.Attestation:
		describeClaim(b, "attestation", n.Claim, indent)
	case policy.Artifact:
		describeClaim(b, "artifact", n.Claim, indent)
	default:
		fmt.Fprintf(b, "%s%T\n", indent, r)
	}
}

func describeClaim(b *strings.Builder, kind string, c policy.Claim, indent string) {
	fmt.Fprintf(b, "%s%s %s %s", indent, c.Quantifier, kind, c.Type)
	if c.MaxAge != 0 {
		fmt.Fprintf(b, " of at most %s", c.MaxAge)
	}
	if c.Embedded {
		fmt.Fprint(b, " or embedded")
	}
	fmt.Fprintln(b)
	for _, s := range c.Signers {
		fmt.Fprintf(b, "%s  by %s: %s\n", indent, s.Name, s.Signer.Describe())
	}
	for _, condition := range c.Conditions {
		fmt.Fprintf(b, "%s  if %s\n", indent, condition)
	}
}

func (f fakeSigners) Keyless(s dialect.KeylessSpec) (policy.Signer, error) {
	if f.noRoot && s.TrustedRoot == nil {
		return nil, &dialect.SpecError{Field: dialect.FieldTrustedRoot, Err: errors.New("expected a trusted root, got none")}
	}
	return specSigner("keyless", s), nil
}

func (fakeSigners) Certificate(s dialect.CertificateSpec) (policy.Signer, error) {
	return specSigner("certificate", s), nil
}

// specSigner says all that a specification has, but of material only the hash.
func specSigner(kind string, spec any) policy.Signer {
	raw, err := json.Marshal(spec)
	if err != nil {
		panic(err)
	}
	var all map[string]any
	if err := json.Unmarshal(raw, &all); err != nil {
		panic(err)
	}
	return fakeAttestor{fakeSigner{made: kind + said(all, "")}}
}

func said(v any, name string) string {
	switch v := v.(type) {
	case map[string]any:
		var b strings.Builder
		for _, key := range slices.Sorted(maps.Keys(v)) {
			b.WriteString(said(v[key], strings.TrimPrefix(name+"."+key, ".")))
		}
		return b.String()
	case []any:
		var b strings.Builder
		for i, one := range v {
			b.WriteString(said(one, fmt.Sprintf("%s[%d]", name, i)))
		}
		return b.String()
	case nil:
		return ""
	}
	if text := fmt.Sprint(v); text != "" && text != "false" {
		return fmt.Sprintf(" %s=%s", name, text)
	}
	return ""
}

// TestSnapshotIsDated: who trusts the snapshot learns of what time it is.
func TestSnapshotIsDated(t *testing.T) {
	text := document(cluster, "", "signers: [{name: a, sigstore: {github: {repository: acme/app, ref: refs/heads/main}, trustedRoot: {builtin: PublicGood}}}]")
	policies, err := compile(t, "p.yaml", text, fakeSigners{}, native.Options{PublicGoodSnapshot: "as of yesterday"})
	if err != nil || len(policies) != 1 {
		t.Fatalf("expected one policy, got %d, %v", len(policies), err)
	}
	dated := func(n policy.Note) bool {
		return strings.HasSuffix(n.Path, ".builtin") && strings.Contains(n.Text, "as of yesterday")
	}
	if !slices.ContainsFunc(policies[0].Notes, dated) {
		t.Errorf("expected a note with the time of the snapshot, got %v", policies[0].Notes)
	}
}
