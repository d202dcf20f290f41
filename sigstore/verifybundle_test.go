package sigstore_test

import (
	"bytes"
	"crypto"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// file is a thing to sign that is no image.
func file(content string) fixture.Image {
	return fixture.Image{Raw: []byte(content), Digest: imageref.DigestOf([]byte(content))}
}

func artifact(tb testing.TB, content []byte) sigstore.Artifact {
	tb.Helper()
	a, err := sigstore.NewArtifact(tb.Context(), bytes.NewReader(content))
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// wantBundle verifies a bundle over an artifact: a proof if reason is "".
func wantBundle(tb testing.TB, s *sigstore.Signer, raw []byte, a sigstore.Artifact, reason evidence.Reason) policy.Proof {
	tb.Helper()
	proof, err := s.VerifyBundle(tb.Context(), raw, a)
	if reason == "" {
		if err != nil {
			tb.Fatalf("want a proof, got %v", err)
		}
		return proof
	}
	var p *evidence.Problem
	if !errors.As(err, &p) || p.Reason != reason {
		tb.Fatalf("want reason %s, got %v", reason, err)
	}
	if proof.Identity != "" || p.Path == "" {
		tb.Errorf("want a problem with a path and no proof, got %v, %v", p, proof)
	}
	return proof
}

func TestVerifyBundleMessages(t *testing.T) {
	content, log := file("a file"), testca.New(t, testca.Options{})
	sha512Sum := sha512.Sum512(content.Raw)
	bySHA512, err := imageref.ParseDigest("sha512:" + hex.EncodeToString(sha512Sum[:]))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		kind   fixture.KeyKind
		hash   crypto.Hash
		digest evidence.Reason // of what only the SHA-256 is known
		longer evidence.Reason // of what only the SHA-512 is known
	}{
		"P256":            {reason: "SHA-256", kind: fixture.P256, longer: evidence.UnsupportedEvidence},
		"RSA":             {reason: "SHA-256", kind: fixture.RSA2048, longer: evidence.UnsupportedEvidence},
		"P384":            {reason: "SHA-384", kind: fixture.P384, digest: evidence.UnsupportedEvidence, longer: evidence.UnsupportedEvidence},
		"P384SHA256":      {reason: "as cosign once signed", kind: fixture.P384, hash: crypto.SHA256, longer: evidence.UnsupportedEvidence},
		"P521":            {reason: "SHA-512", kind: fixture.P521, digest: evidence.UnsupportedEvidence},
		"Ed25519Hashed":   {reason: "pre-hashed by SHA-512", kind: fixture.Ed25519, digest: evidence.SignerMismatch},
		"Ed25519Unhashed": {reason: "over the bytes themselves", kind: fixture.Ed25519, hash: crypto.SHA256, digest: evidence.SignerMismatch, longer: evidence.SignerMismatch},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			k := newKey(t, tc.kind)
			o := fixture.BundleOptions{MessageSignature: true, Hash: tc.hash}
			if name != "Ed25519Unhashed" { // Rekor holds none of these
				o.LogEntries = log.LogEntries()
			}
			raw := bundled(t, content, k, o).Payload
			by := []*sigstore.Signer{signer(t, k, ignored)}
			if o.LogEntries != nil {
				by = append(by, signer(t, k, required(t, log)))
			}
			for _, s := range by {
				if proof := wantBundle(t, s, raw, artifact(t, content.Raw), ""); proof.Statement != nil {
					t.Errorf("want no statement, got %v", proof.Statement)
				}
				wantBundle(t, s, raw, sigstore.DigestArtifact(content.Digest), tc.digest)
				wantBundle(t, s, raw, sigstore.DigestArtifact(bySHA512), tc.longer)
				for _, a := range []sigstore.Artifact{artifact(t, []byte("another file")), artifact(t, nil), sigstore.DigestArtifact(file("another file").Digest)} {
					p := evidence.ProblemOf(verified(t, s, raw, a))
					if p == nil || (p.Reason != evidence.SubjectMismatch && p.Reason != evidence.SignerMismatch && p.Reason != evidence.UnsupportedEvidence) {
						t.Errorf("want another artifact refused, got %v", p)
					}
				}
				wantBundle(t, signer(t, newKey(t, tc.kind), ignored), raw, artifact(t, content.Raw), evidence.SignerMismatch)
			}
		})
	}
}

func verified(tb testing.TB, s *sigstore.Signer, raw []byte, a sigstore.Artifact) error {
	tb.Helper()
	_, err := s.VerifyBundle(tb.Context(), raw, a)
	return err
}

func TestVerifyBundleStatements(t *testing.T) {
	content, other, k := file("a file"), file("another file"), newKey(t, fixture.P256)
	sum384, sum512 := sha512.Sum384(content.Raw), sha512.Sum512(content.Raw)
	digests := func(members string) []byte {
		return []byte(`{"_type":"` + fixture.StatementV1 + `","subject":[{"digest":{` + members + `}}],"predicateType":"` + custom + `","predicate":{}}`)
	}
	named := func(name, value string) string { return `"` + name + `":"` + value + `"` }
	own := named("sha256", content.Digest.Hex())
	cases := map[string]struct {
		reason    string
		statement []byte
		file      evidence.Reason
		digest    evidence.Reason
	}{
		"SHA256":        {reason: "the usual", statement: digests(own)},
		"SHA512":        {reason: "known of a file alone", statement: digests(named("sha512", hex.EncodeToString(sum512[:]))), digest: evidence.SubjectMismatch},
		"SHA384":        {reason: "known of a file alone", statement: digests(named("sha384", hex.EncodeToString(sum384[:]))), digest: evidence.SubjectMismatch},
		"Both":          {reason: "both of the file", statement: digests(own + "," + named("sha512", hex.EncodeToString(sum512[:])))},
		"Contradicting": {reason: "one of them is another's", statement: digests(own + "," + named("sha512", strings.Repeat("0", 128))), file: evidence.SubjectMismatch},
		"Unknown":       {reason: "a digest of another kind beside", statement: digests(own + "," + named("gitCommit", "x"))},
		"UnknownAlone":  {reason: "a digest of another kind", statement: digests(named("gitCommit", content.Digest.Hex())), file: evidence.SubjectMismatch, digest: evidence.SubjectMismatch},
		"None":          {reason: "no subject", statement: about(fixture.StatementV1, custom, ""), file: evidence.SubjectMismatch, digest: evidence.SubjectMismatch},
		"Other":         {reason: "another file", statement: about(fixture.StatementV1, custom, "", other.Digest.Hex()), file: evidence.SubjectMismatch, digest: evidence.SubjectMismatch},
		"OneOfTwo":      {reason: "one of the subjects", statement: about(fixture.StatementV1, custom, "", other.Digest.Hex(), content.Digest.Hex())},
		"OldStatement":  {reason: "version 0.1 of statements", statement: about(fixture.StatementV01, custom, "", content.Digest.Hex())},
		"NoType":        {reason: "a statement of no type is one too", statement: []byte(`{"_type":"` + fixture.StatementV1 + `","subject":[{"digest":{` + own + `}}]}`)},
		"Malformed":     {reason: "CVE-2026-39395", statement: []byte("{"), file: evidence.MalformedEvidence, digest: evidence.MalformedEvidence},
	}
	s := signer(t, k, ignored)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			raw := bundled(t, content, k, fixture.BundleOptions{Statement: tc.statement}).Payload
			proof := wantBundle(t, s, raw, artifact(t, content.Raw), tc.file)
			if tc.file == "" && (proof.Statement == nil || !bytes.Equal(proof.Statement.Payload, tc.statement)) {
				t.Errorf("want the statement, got %+v", proof)
			}
			wantBundle(t, s, raw, sigstore.DigestArtifact(content.Digest), tc.digest)
		})
	}
	// A signature in a statement is a signature, not an attestation.
	raw := bundled(t, content, k, fixture.BundleOptions{}).Payload
	if proof := wantBundle(t, s, raw, artifact(t, content.Raw), ""); proof.Statement != nil {
		t.Errorf("want no statement of a signature, got %v", proof.Statement)
	}
}

func TestVerifyBundleKeyless(t *testing.T) {
	s, content := whole(t), file("a file")
	c := issued(t, s, testca.CertificateOptions{})
	ours := keyless(t, s, workflow(), nil)
	stranger := issued(t, s, testca.CertificateOptions{Subject: "evil@evil.test"})
	eachForm(t, func(f form) bool { return !f.legacy }, func(t *testing.T, f form) {
		raw := f.sign(t, content, c, testimony{by: s}).Payload
		proof := wantBundle(t, ours, raw, artifact(t, content.Raw), "")
		if proof.Testimony.Certificate.Identity != testca.DefaultSubject || proof.Source != "Sigstore bundle" {
			t.Errorf("want the certificate and the source, got %+v", proof)
		}
		wantBundle(t, ours, raw, sigstore.DigestArtifact(content.Digest), "")
		wantBundle(t, ours, raw, artifact(t, []byte("another file")), evidence.SubjectMismatch)
		wantBundle(t, ours, f.sign(t, content, stranger, testimony{by: s}).Payload, artifact(t, content.Raw), evidence.IdentityMismatch)
		wantBundle(t, ours, f.sign(t, content, c, testimony{by: s, entry: testca.EntryOptions{Message: []byte("another")}}).Payload, artifact(t, content.Raw), evidence.LogEntryInvalid)
	})
}

func TestVerifyBundleRefuses(t *testing.T) {
	k, content := newKey(t, fixture.P256), file("a file")
	s := signer(t, k, ignored)
	raw := bundled(t, content, k, fixture.BundleOptions{MessageSignature: true}).Payload
	wantBundle(t, s, raw, sigstore.Artifact{}, evidence.Internal)
	wantBundle(t, s, append(bytes.Clone(raw), bytes.Repeat([]byte(" "), evidence.MaxSignatureBytes)...), artifact(t, content.Raw), evidence.LimitExceeded)
	wantBundle(t, s, nil, artifact(t, content.Raw), evidence.MalformedEvidence)
	errBoom := errors.New("boom")
	if _, err := sigstore.NewArtifact(t.Context(), iotest.ErrReader(errBoom)); !errors.Is(err, errBoom) {
		t.Errorf("want the reader's error, got %v", err)
	}
	empty := file("")
	wantBundle(t, s, bundled(t, empty, k, fixture.BundleOptions{MessageSignature: true}).Payload, artifact(t, nil), "")
}

// TestR1LargeArtifact has a file of which only the digests are kept.
func TestR1LargeArtifact(t *testing.T) {
	content := file(strings.Repeat("x", 64<<20+1))
	a := artifact(t, content.Raw)
	if a.Digest() != content.Digest.String() {
		t.Errorf("want %s, got %s", content.Digest, a.Digest())
	}
	p256, edwards := newKey(t, fixture.P256), newKey(t, fixture.Ed25519)
	wantBundle(t, signer(t, p256, ignored), bundled(t, content, p256, fixture.BundleOptions{MessageSignature: true}).Payload, a, "")
	wantBundle(t, signer(t, edwards, ignored), bundled(t, content, edwards, fixture.BundleOptions{MessageSignature: true}).Payload, a, "")
	unhashed := bundled(t, content, edwards, fixture.BundleOptions{MessageSignature: true, Hash: crypto.SHA256}).Payload
	wantBundle(t, signer(t, edwards, ignored), unhashed, a, evidence.SignerMismatch)
}

// TestR31ReadCovered has statements that an index holds, which its signer
// signed with it.
func TestR31ReadCovered(t *testing.T) {
	k, image, other := newKey(t, fixture.P256), app(t), subject(t, "registry.test/acme/other:v1", "other")
	s := signer(t, k, ignored)
	by := want(t, s, image, simple(t, image, k, fixture.CosignOptions{}), "").proof
	statement := about(fixture.StatementV1, custom, "", image.Digest.Hex())
	for name, tc := range map[string]struct {
		reason  string
		payload []byte
		format  evidence.Format
		asked   string
		want    evidence.Reason
	}{
		"Good":       {reason: "about the child", payload: statement, format: evidence.Embedded, asked: custom},
		"OtherChild": {reason: "about another", payload: about(fixture.StatementV1, custom, "", other.Digest.Hex()), format: evidence.Embedded, asked: custom, want: evidence.SubjectMismatch},
		"NoSubject":  {reason: "about nothing", payload: about(fixture.StatementV1, custom, ""), format: evidence.Embedded, asked: custom, want: evidence.SubjectMismatch},
		"OtherType":  {reason: "of another type", payload: statement, format: evidence.Embedded, asked: "x", want: evidence.NotAttested},
		"NoType":     {reason: "no type is asked", payload: statement, format: evidence.Embedded, want: evidence.NotAttested},
		"Envelope":   {reason: "has a signature of its own", payload: statement, format: evidence.Envelope, asked: custom, want: evidence.NotAttested},
		"Malformed":  {reason: "no statement", payload: []byte("{"), format: evidence.Embedded, asked: custom, want: evidence.MalformedEvidence},
		"R4Twice":    {reason: "two types for two readers", payload: about(fixture.StatementV1, custom, `,"predicateType":"x"`, image.Digest.Hex()), format: evidence.Embedded, asked: custom, want: evidence.MalformedEvidence},
		"Huge":       {reason: "bounded", payload: make([]byte, evidence.MaxSignatureBytes+1), format: evidence.Embedded, asked: custom, want: evidence.LimitExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			proof, err := s.ReadCovered(found(t, image), evidence.Item{Format: tc.format, Payload: tc.payload, Manifest: image.Digest}, tc.asked, by)
			if tc.want == "" {
				if err != nil || proof.Identity != by.Identity || proof.Statement == nil || proof.Statement.Type != custom {
					t.Errorf("want the index's signer's statement, got %v, %v", proof, err)
				}
				return
			}
			if p := evidence.ProblemOf(err); p == nil || p.Reason != tc.want || proof.Identity != "" {
				t.Errorf("want reason %s and no proof, got %v, %v", tc.want, err, proof)
			}
		})
	}
	// What nobody signed is not signed by being embedded.
	item := evidence.Item{Format: evidence.Embedded, Payload: statement}
	want(t, s, image, item, evidence.UnsupportedEvidence)
	wantStatement(t, s, image, item, custom, evidence.NotAttested)
}
