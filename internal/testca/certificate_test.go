package testca_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	prototrust "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"google.golang.org/protobuf/proto"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
)

// names are a certificate's alternative names as the libraries read them.
type names struct {
	URIs, Mails []string
	User        string
}

func namesOf(c *x509.Certificate) names {
	n := names{Mails: c.EmailAddresses}
	for _, u := range c.URIs {
		n.URIs = append(n.URIs, u.String())
	}
	n.User, _ = cryptoutils.UnmarshalOtherNameSAN(c.Extensions)
	return n
}

// issuers are the two extensions that name the identity's issuer.
func issuers(t *testing.T, c *x509.Certificate) (old, current string) {
	t.Helper()
	for _, e := range c.Extensions {
		switch {
		case e.Id.Equal(testca.Extension(1).OID()):
			old = string(e.Value)
		case e.Id.Equal(certificate.OIDIssuerV2):
			if err := certificate.ParseDERString(e.Value, &current); err != nil {
				t.Fatal(err)
			}
		}
	}
	return old, current
}

func TestIdentities(t *testing.T) {
	s := testca.New(t, testca.Options{Whole: true})
	const mail, uri, user = "dev@acme.test", "https://acme.test/workflow", "alice!acme.test"
	cases := map[string]struct {
		options      testca.CertificateOptions
		names        names
		old, current string
	}{
		"Default":     {names: names{URIs: []string{testca.DefaultSubject}}, old: testca.DefaultIssuer, current: testca.DefaultIssuer},
		"Mail":        {options: testca.CertificateOptions{Subject: mail, Issuer: "i"}, names: names{Mails: []string{mail}}, old: "i", current: "i"},
		"User":        {options: testca.CertificateOptions{Subject: user, Issuer: "i"}, names: names{User: user}, old: "i", current: "i"},
		"Two":         {options: testca.CertificateOptions{Subject: uri, Also: []string{mail, uri + "2"}, Issuer: "i"}, names: names{URIs: []string{uri, uri + "2"}, Mails: []string{mail}}, old: "i", current: "i"},
		"TwoWithUser": {options: testca.CertificateOptions{Subject: uri, Also: []string{user}, Issuer: "i"}, names: names{URIs: []string{uri}, User: user}, old: "i", current: "i"},
		"None":        {options: testca.CertificateOptions{NoSubject: true, Issuer: "i"}, old: "i", current: "i"},
		"Disagree":    {options: testca.CertificateOptions{Subject: uri, Issuer: "i", OldIssuer: "j"}, names: names{URIs: []string{uri}}, old: "j", current: "i"},
		"OldAlone":    {options: testca.CertificateOptions{Subject: uri, Issuer: "i", NoIssuer: true}, names: names{URIs: []string{uri}}, old: "i"},
		"NewAlone":    {options: testca.CertificateOptions{Subject: uri, Issuer: "i", NoOldIssuer: true}, names: names{URIs: []string{uri}}, current: "i"},
		"NoIssuer":    {options: testca.CertificateOptions{Subject: uri, NoOldIssuer: true, NoIssuer: true}, names: names{URIs: []string{uri}}},
		"SelfSigned":  {options: testca.CertificateOptions{Subject: uri, Issuer: "i", SelfSigned: true}, names: names{URIs: []string{uri}}, old: "i", current: "i"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := s.Issue(t, tc.options).Leaf
			if diff := cmp.Diff(tc.names, namesOf(c)); diff != "" {
				t.Errorf("names: -want +got\n%s", diff)
			}
			if old, current := issuers(t, c); old != tc.old || current != tc.current {
				t.Errorf("want issuers %q and %q, got %q and %q", tc.old, tc.current, old, current)
			}
		})
	}
}

func TestGitHubHasEveryExtension(t *testing.T) {
	const file = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1"
	const commit = "f0b49a04e5a62250e0f60fb128004a73110fe311"
	c := testca.New(t, testca.Options{}).Issue(t, testca.GitHub("acme/app", "release.yml", "refs/tags/v1"))
	got, err := certificate.SummarizeCertificate(c.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	want := certificate.Summary{CertificateIssuer: c.Leaf.Issuer.String(), SubjectAlternativeName: file, Extensions: certificate.Extensions{
		Issuer: testca.DefaultIssuer, GithubWorkflowTrigger: "push", GithubWorkflowSHA: commit, GithubWorkflowName: "Release",
		GithubWorkflowRepository: "acme/app", GithubWorkflowRef: "refs/tags/v1", BuildSignerURI: file, BuildSignerDigest: commit,
		RunnerEnvironment: "github-hosted", SourceRepositoryURI: "https://github.com/acme/app", SourceRepositoryDigest: commit,
		SourceRepositoryRef: "refs/tags/v1", SourceRepositoryIdentifier: "495574555", SourceRepositoryOwnerURI: "https://github.com/acme",
		SourceRepositoryOwnerIdentifier: "71096353", BuildConfigURI: file, BuildConfigDigest: commit, BuildTrigger: "push",
		RunInvocationURI: "https://github.com/acme/app/actions/runs/5904696764/attempts/1", SourceRepositoryVisibilityAtSigning: "public",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestShapesOfCertificates(t *testing.T) {
	s := testca.New(t, testca.Options{Whole: true})
	at := time.Unix(1_700_000_000, 0).UTC()
	odd := pkix.Extension{Id: testca.SourceRepositoryURI.OID(), Value: []byte("not DER")}
	key := newKey(t, fixture.P384)
	c := s.Issue(t, testca.CertificateOptions{NotBefore: at, NotAfter: at.Add(time.Hour), NoUsage: true, CA: true, Key: key, RawExtensions: []pkix.Extension{odd}}).Leaf
	if !c.NotBefore.Equal(at) || !c.NotAfter.Equal(at.Add(time.Hour)) || !c.IsCA || len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) != 0 {
		t.Errorf("want the shape that was asked for, got %+v", c)
	}
	if public, ok := c.PublicKey.(*ecdsa.PublicKey); !ok || !public.Equal(key.Signer.Public()) {
		t.Errorf("want the key that was given, got %v", c.PublicKey)
	}
	if !bytes.Contains(c.Raw, odd.Value) {
		t.Error("want the extension as it was given")
	}
	if two := s.Issue(t, testca.CertificateOptions{SCTs: []testca.SCTOptions{{}, {}}}); len(two.SCTs) != 2 || !bytes.Contains(two.DER, two.SCTs[0]) || !bytes.Contains(two.DER, two.SCTs[1]) {
		t.Errorf("want two embedded timestamps, got %d", len(two.SCTs))
	}
	edited := s.Issue(t, testca.CertificateOptions{Edit: func(t *testca.Template) { t.Subject.CommonName = "edited" }}).Leaf
	if edited.Subject.CommonName != "edited" {
		t.Errorf("want an edited certificate, got %s", edited.Subject)
	}
}

// A chain goes with a certificate whose issuer the trusted root does not list.
func TestChains(t *testing.T) {
	s := testca.New(t, testca.Options{Whole: true})
	for name, tc := range map[string]struct {
		options testca.CertificateOptions
		length  int
	}{
		"Usual": {length: 2}, "ByRoot": {options: testca.CertificateOptions{ByRoot: true}, length: 1},
		"ByStray": {options: testca.CertificateOptions{ByStray: true}, length: 2}, "SelfSigned": {options: testca.CertificateOptions{SelfSigned: true}},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.Issue(t, tc.options)
			roots, between := x509.NewCertPool(), x509.NewCertPool()
			between.AppendCertsFromPEM(c.ChainPEM)
			if tc.length == 0 {
				roots.AddCert(c.Leaf)
			} else {
				roots.AddCert(c.Chain[len(c.Chain)-1])
				if !bytes.HasSuffix(s.FulcioChain(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Chain[len(c.Chain)-1].Raw})) {
					t.Error("want Fulcio's root at the end of the chain")
				}
			}
			if len(c.Chain) != tc.length {
				t.Errorf("want a chain of %d, got %d", tc.length, len(c.Chain))
			}
			options := x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}}
			if _, err := c.Leaf.Verify(options); err != nil {
				t.Error(err)
			}
		})
	}
}

// A detached timestamp is of the certificate itself (RFC 6962 §3.2, x509_entry).
func TestDetachedSCT(t *testing.T) {
	s := testca.New(t, testca.Options{Whole: true})
	at := time.Unix(1_700_000_000, 0)
	c := s.Issue(t, testca.CertificateOptions{Detached: true, SCTs: []testca.SCTOptions{{Time: at}}})
	for _, e := range c.Leaf.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}) {
			t.Error("want no embedded timestamp")
		}
	}
	var sct struct {
		Version        uint8
		Log            [32]byte
		Time           uint64
		Extensions     uint16
		Hash, KeyKind  uint8
		SignatureBytes uint16
	}
	reader := bytes.NewReader(c.SCTs[0])
	if err := binary.Read(reader, binary.BigEndian, &sct); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(s.CTLogKey())
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if sct.Log != sha256.Sum256(block.Bytes) || sct.Time != 1_700_000_000_000 || reader.Len() != int(sct.SignatureBytes) {
		t.Errorf("want a timestamp of %v by the log, got %+v", at, sct)
	}
	signed := append([]byte{0, 0}, binary.BigEndian.AppendUint64(nil, sct.Time)...)
	signed = append(signed, 0, 0, 0)
	signed = append(binary.BigEndian.AppendUint16(signed, uint16(len(c.DER))), c.DER...)
	digest := sha256.Sum256(append(signed, 0, 0))
	if !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), digest[:], c.SCTs[0][len(c.SCTs[0])-reader.Len():]) {
		t.Error("want a signature over the certificate")
	}
}

// What is not listed is not trusted.
func TestPartsOfTheRoot(t *testing.T) {
	s := testca.New(t, testca.Options{Whole: true})
	bare := testca.New(t, testca.Options{})
	both := testca.New(t, testca.Options{Whole: true, Edit: func(r *prototrust.TrustedRoot) { proto.Merge(r, s.Protobuf()) }})
	for name, tc := range map[string]struct {
		raw                       []byte
		logs, cas, ctLogs, stamps int
	}{
		"Whole": {raw: s.TrustedRoot(), logs: 2, cas: 1, ctLogs: 1, stamps: 1},
		"Bare":  {raw: bare.TrustedRoot(), logs: 1},
		"Both":  {raw: both.TrustedRoot(), logs: 4, cas: 2, ctLogs: 2, stamps: 2},
		"Edited": {raw: s.EditedRoot(t, func(r *prototrust.TrustedRoot) {
			r.Ctlogs, r.TimestampAuthorities, r.Tlogs = nil, nil, r.Tlogs[1:]
		}), logs: 1, cas: 1},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := root.NewTrustedRootFromJSON(tc.raw)
			if err != nil {
				t.Fatal(err)
			}
			got := [4]int{len(r.RekorLogs()), len(r.FulcioCertificateAuthorities()), len(r.CTLogs()), len(r.TimestampingAuthorities())}
			if want := [4]int{tc.logs, tc.cas, tc.ctLogs, tc.stamps}; got != want {
				t.Errorf("want %v, got %v", want, got)
			}
		})
	}
	if _, err := verify.VerifyLeafCertificate(time.Now(), bare.Issue(t, testca.CertificateOptions{}).Leaf, bare.Material(t)); err == nil {
		t.Error("want no trust in a Fulcio that the root does not list")
	}
}

func TestKeysOfLogs(t *testing.T) {
	s, other := testca.New(t, testca.Options{}), testca.New(t, testca.Options{Rekor2ECDSA: true})
	for name, tc := range map[string]struct {
		pem  []byte
		want string
	}{
		"Rekor1": {s.LogKey(), "*ecdsa.PublicKey"}, "Certificates": {s.CTLogKey(), "*ecdsa.PublicKey"},
		"Rekor2": {s.Log2Key(), "ed25519.PublicKey"}, "Rekor2ECDSA": {other.Log2Key(), "*ecdsa.PublicKey"},
	} {
		block, _ := pem.Decode(tc.pem)
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if got := fmt.Sprintf("%T", public); err != nil || got != tc.want {
			t.Errorf("%s: want a key of %s, got %s, %v", name, tc.want, got, err)
		}
	}
}
