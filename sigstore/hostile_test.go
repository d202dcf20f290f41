package sigstore_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	names "crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// response is a timestamp authority's answer around a token that is none.
func response(t *testing.T, token []byte) []byte {
	t.Helper()
	sequence := func(content []byte) []byte {
		der, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: content})
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	return sequence(append(sequence([]byte{2, 1, 0}), sequence(token)...))
}

// The readers of timestamps recurse by their nesting and take time by the square
// of their length: one that nests without end would end the process.
func TestR1TimestampsThatNestWithoutEnd(t *testing.T) {
	s, image, k := whole(t), app(t), newKey(t, fixture.P256)
	made := signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: trustedRoot(t, s.TrustedRoot())}})
	nested := func(levels int) []byte {
		var der []byte
		for range levels {
			der = response(t, der)
		}
		return der
	}
	cases := map[string]struct {
		token []byte
		want  evidence.Reason
	}{
		"IndefiniteLengths": {response(t, bytes.Repeat([]byte{0x30, 0x80}, 2_500_000)), evidence.LimitExceeded},
		"Indefinite":        {response(t, bytes.Repeat([]byte{0x30, 0x80}, 100)), evidence.TimestampInvalid},
		"Deep":              {nested(40), evidence.LimitExceeded},
		"Wide":              {response(t, bytes.Repeat([]byte{5, 0}, 3_700_000)), evidence.LimitExceeded},
		"WideWithin":        {response(t, bytes.Repeat([]byte{5, 0}, 30_000)), evidence.TimestampInvalid},
		"Cut":               {response(t, []byte{0x30, 0x84, 0xff})[:8], evidence.TimestampInvalid},
		"LongTag":           {[]byte{0x3f, 0xff, 0xff, 0xff}, evidence.TimestampInvalid},
		"Empty":             {[]byte{0x30, 0}, evidence.TimestampInvalid},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := fixture.BundleOptions{
				LogEntries: s.LogEntries(testca.EntryOptions{}),
				Timestamps: func(fixture.Signed) ([][]byte, error) { return [][]byte{tc.token}, nil },
			}
			want(t, made, image, bundled(t, image, k, o), tc.want)
		})
	}
}

// enormous is an RSA key that takes seconds to check with.
func enormous(t *testing.T) *rsa.PublicKey {
	t.Helper()
	const bits = 100_000
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), bits))
	if err != nil {
		t.Fatal(err)
	}
	n.SetBit(n, bits-1, 1)
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 1<<31 - 1}
}

// Rekor's own code verifies an entry with whatever key the entry names, before
// anything is known of the log.
func TestR1EntriesWithEnormousKeys(t *testing.T) {
	s, image := whole(t), app(t)
	c := issued(t, s, testca.CertificateOptions{})
	der, err := x509.MarshalPKIXPublicKey(enormous(t))
	if err != nil {
		t.Fatal(err)
	}
	key := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	ours := base64.StdEncoding.EncodeToString(c.PEM)
	for name, publicKey := range map[string]string{
		"Alone":       fmt.Sprintf(`"publicKey":{"content":%q}`, key),
		"OtherCase":   fmt.Sprintf(`"publicKey":{"content":%q},"PublicKey":{"content":%q}`, ours, key),
		"BehindOurs":  fmt.Sprintf(`"publicKey":{"content":%q}`, base64.StdEncoding.EncodeToString(append(bytes.Clone(c.PEM), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...))),
		"OtherMember": fmt.Sprintf(`"publicKey":{"content":%q,"Content":%q}`, ours, key),
	} {
		t.Run(name, func(t *testing.T) {
			body := `{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"` + strings.Repeat("0", 64) +
				`"}},"signature":{"content":"AAAA",` + publicKey + `}}}`
			item := bundled(t, image, c.Key, c.Bundle(fixture.BundleOptions{Edit: func(b *protobundle.Bundle) {
				b.VerificationMaterial.TlogEntries = []*protorekor.TransparencyLogEntry{{
					LogIndex: 1, LogId: &protocommon.LogId{KeyId: make([]byte, 32)}, KindVersion: &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.1"},
					IntegratedTime: 1, CanonicalizedBody: []byte(body), InclusionPromise: &protorekor.InclusionPromise{SignedEntryTimestamp: []byte{1}},
				}}
			}}))
			want(t, keyless(t, s, workflow(), nil), image, item, evidence.LogEntryInvalid)
		})
	}
}

// Each further certificate of a chain would be checked with.
func TestR1ChainsWithEnormousKeys(t *testing.T) {
	s, image := whole(t), app(t)
	c := issued(t, s, testca.CertificateOptions{})
	signing, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: c.Leaf.Issuer, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: c.Leaf.NotBefore, NotAfter: c.Leaf.NotAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{Subject: names.Name{CommonName: "p"}}, enormous(t), signing)
	if err != nil {
		t.Fatal(err)
	}
	o := fixture.BundleOptions{MediaType: fixture.MediaTypeBundle02, Certificates: [][]byte{c.DER, der}, LogEntries: s.LogEntries(testca.EntryOptions{Time: longAgo()})}
	want(t, keyless(t, s, workflow(), nil), image, bundled(t, image, c.Key, o), evidence.UnsupportedEvidence)

	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if _, err := sigstore.NewTrustedRootFromParts(sigstore.RootParts{Fulcio: [][]byte{chain}}); err == nil {
		t.Error("parts: want a key of that size refused")
	}
	if _, err := sigstore.NewCertificate(sigstore.CertificateOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored}, Chain: chain, AnySubject: true}); err == nil {
		t.Error("chain: want a key of that size refused")
	}
}

// Without a time that somebody signs nothing says that the log's key was in use:
// an entry by a retired log's key passes for one of then.
func TestR26EntriesWithoutAnyTime(t *testing.T) {
	image, k := app(t), newKey(t, fixture.P256)
	retired := testca.New(t, testca.Options{LogValidFrom: longAgo().Add(-100 * time.Hour), LogValidUntil: longAgo().Add(-time.Hour)})
	by := func(s *testca.Sigstore) *sigstore.Signer {
		return signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: trustedRoot(t, s.TrustedRoot())}})
	}
	promised := fixture.BundleOptions{LogEntries: retired.LogEntries(testca.EntryOptions{Time: time.Now()})}
	want(t, by(retired), image, bundled(t, image, k, promised), evidence.LogEntryInvalid)
	proven := fixture.BundleOptions{LogEntries: retired.LogEntries(testca.EntryOptions{Time: time.Now(), NoPromise: true})}
	want(t, by(retired), image, bundled(t, image, k, proven), evidence.TimestampMissing)

	// The proof of an entry of version 2 is of what the bundle holds, not of the
	// body beside it, which could pose as one of version 1.
	second := testca.New(t, testca.Options{Whole: true})
	disguised := fixture.BundleOptions{
		MessageSignature: true, LogEntries: second.LogEntries(testca.EntryOptions{Rekor2: true}), Timestamps: second.Timestamps(testca.TimestampOptions{}),
		Edit: func(b *protobundle.Bundle) {
			digest := sha256.Sum256(image.Raw)
			e := b.VerificationMaterial.TlogEntries[0]
			e.CanonicalizedBody = fmt.Appendf(nil, `{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":%q}},"signature":{"content":%q,"publicKey":{"content":%q}}}}`,
				hex.EncodeToString(digest[:]), base64.StdEncoding.EncodeToString(b.GetMessageSignature().GetSignature()), base64.StdEncoding.EncodeToString(k.PublicPEM))
			e.KindVersion = &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.1"}
		},
	}
	want(t, by(second), image, bundled(t, image, k, disguised), evidence.LogEntryInvalid)
}

// Authorities' constraints are on kinds of names: a name in the clothes of another
// kind escapes them.
func TestR27NamesOfAnotherKind(t *testing.T) {
	s, image := whole(t), app(t)
	identity := sigstore.Identity{Issuer: sigstore.Exactly(testca.DefaultIssuer), Subject: sigstore.Exactly("alice@acme.test")}
	for name, extension := range map[string]names.Extension{
		"MailAsHost": hostName(t, "alice@acme.test"), "WorkflowAsHost": hostName(t, testca.DefaultSubject),
		"MailAsUser": otherName(t, "alice@acme.test"), "WorkflowAsUser": otherName(t, testca.DefaultSubject),
	} {
		t.Run(name, func(t *testing.T) {
			c := issued(t, s, testca.CertificateOptions{NoSubject: true, RawExtensions: []names.Extension{extension}})
			item := bundled(t, image, c.Key, c.Bundle(fixture.BundleOptions{LogEntries: s.LogEntries(testca.EntryOptions{Time: longAgo()})}))
			for _, by := range []sigstore.Identity{identity, workflow()} {
				want(t, keyless(t, s, by, nil), image, item, evidence.CertificateInvalid)
			}
		})
	}
}

// alternative is the extension with one subject alternative name.
func alternative(t *testing.T, name []byte) names.Extension {
	t.Helper()
	list, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: name})
	if err != nil {
		t.Fatal(err)
	}
	return names.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: list}
}

func hostName(t *testing.T, name string) names.Extension {
	t.Helper()
	host, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte(name)})
	if err != nil {
		t.Fatal(err)
	}
	return alternative(t, host)
}

// otherName has Fulcio's kind of name for users.
func otherName(t *testing.T, name string) names.Extension {
	t.Helper()
	text, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(name)})
	if err != nil {
		t.Fatal(err)
	}
	other, err := asn1.MarshalWithParams(struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue `asn1:"explicit,tag:0"`
	}{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 7}, asn1.RawValue{FullBytes: text}}, "tag:0")
	if err != nil {
		t.Fatal(err)
	}
	return alternative(t, other)
}

// One signature is one, attached twice and by whatever identity a policy knows
// its holder.
func TestR28OneHolderByTwoIdentities(t *testing.T) {
	s, image := whole(t), app(t)
	c := issued(t, s, testca.CertificateOptions{})
	item := bundled(t, image, c.Key, c.Bundle(fixture.BundleOptions{LogEntries: s.LogEntries(testca.EntryOptions{Time: longAgo()})}))
	second := item
	second.Manifest = imageref.DigestOf([]byte("the same bundle in another referrer"))
	options := sigstore.Options{TrustedRoot: trustedRoot(t, s.TrustedRoot())}
	chain, err := sigstore.NewCertificate(sigstore.CertificateOptions{Options: options, Chain: s.FulcioChain(), Subject: sigstore.Exactly(testca.DefaultSubject)})
	if err != nil {
		t.Fatal(err)
	}
	pinned, err := sigstore.NewCertificate(sigstore.CertificateOptions{Options: options, Certificate: c.PEM})
	if err != nil {
		t.Fatal(err)
	}
	signers := map[string]*sigstore.Signer{"keyless": keyless(t, s, workflow(), nil), "chain": chain, "pinned": pinned}
	for _, pair := range [][2]string{{"keyless", "chain"}, {"keyless", "pinned"}, {"pinned", "chain"}} {
		var of []policy.Requirement
		for _, name := range pair {
			of = append(of, policy.Signature{Name: name, Signer: signers[name]})
		}
		f := policy.Evaluate(t.Context(), policy.AtLeast{Count: 2, Of: of}, policy.Input{Facts: policy.SignatureFacts(func(n policy.Signature) policy.Leaf {
			at := item
			if n.Name == pair[1] {
				at = second
			}
			proof, err := n.Signer.Verify(t.Context(), found(t, image), at)
			if err != nil {
				t.Fatal(err)
			}
			return policy.Leaf{Outcome: policy.Allowed, Proofs: []policy.Proof{proof}}
		})})
		if f.Outcome != policy.Denied {
			t.Errorf("two of %v with one signature: want denied, got %s", pair, f.Outcome)
		}
	}
}

// What a message repeats of hostile text is bounded, and no control character.
func TestR1MessagesOfHostileText(t *testing.T) {
	s, image := whole(t), app(t)
	c := issued(t, s, testca.CertificateOptions{})
	item := bundled(t, image, c.Key, c.Bundle(fixture.BundleOptions{Edit: func(b *protobundle.Bundle) {
		b.MediaType = "\x1b[2Jregistry.test/app: allowed\n" + strings.Repeat("x", 5_000_000)
	}}))
	got := want(t, keyless(t, s, workflow(), nil), image, item, evidence.UnsupportedEvidence)
	if text := got.problem.Error(); len(text) > 2000 || strings.ContainsAny(text, "\x1b\n") {
		t.Errorf("want a short message without control characters, got %d bytes: %.200q", len(text), text)
	}
}
