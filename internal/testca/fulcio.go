package testca

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"
	"time"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	prototrust "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// lifetime is how long Fulcio's certificates live.
const lifetime = 10 * time.Minute

// Template is a certificate before it is signed.
type Template = x509.Certificate

// fulcio is a certificate authority of short-lived certificates.
type fulcio struct {
	root, intermediate fixture.Authority
	stray              fixture.Authority // an intermediate that no trusted root lists
}

func newFulcio(tb testing.TB, o Options) fulcio {
	tb.Helper()
	f := fulcio{root: newAuthority(tb, nil, "fulcio", o.FulcioRoot, 0)}
	f.intermediate = newAuthority(tb, &f.root, "fulcio-intermediate", o.FulcioIntermediate, x509.ExtKeyUsageCodeSigning)
	f.stray = newAuthority(tb, &f.root, "fulcio-stray", o.FulcioIntermediate, x509.ExtKeyUsageCodeSigning)
	return f
}

// newAuthority makes an authority below parent, or a root if that is nil. No
// two have the same name.
func newAuthority(tb testing.TB, parent *fixture.Authority, name string, valid Period, usage x509.ExtKeyUsage) fixture.Authority {
	tb.Helper()
	suffix := make([]byte, 4)
	if _, err := rand.Read(suffix); err != nil {
		tb.Fatal(err)
	}
	valid = valid.ofCertificate()
	o := fixture.CertificateOptions{
		Subject:   pkix.Name{Organization: []string{"sigstore.test"}, CommonName: name + "-" + hex.EncodeToString(suffix)},
		NotBefore: valid.From, NotAfter: valid.Until,
		Edit: func(t *x509.Certificate) {
			if usage != 0 {
				t.ExtKeyUsage = []x509.ExtKeyUsage{usage}
			}
		},
	}
	create := fixture.NewAuthority
	if parent != nil {
		create = parent.Intermediate
	}
	made, err := create(o)
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

func (p Period) ofCertificate() Period {
	now := time.Now()
	if p.From.IsZero() {
		p.From = now.Add(-age)
	}
	if p.Until.IsZero() {
		p.Until = now.Add(age)
	}
	return p
}

// authority lists a chain in a trusted root.
func authority(host string, chain []*x509.Certificate, valid Period) *prototrust.CertificateAuthority {
	listed := &prototrust.CertificateAuthority{
		Subject: &protocommon.DistinguishedName{Organization: "sigstore.test", CommonName: chain[0].Subject.CommonName},
		Uri:     "https://" + host, CertChain: &protocommon.X509CertificateChain{}, ValidFor: valid.timeRange(),
	}
	for _, c := range chain {
		listed.CertChain.Certificates = append(listed.CertChain.Certificates, &protocommon.X509Certificate{RawBytes: c.Raw})
	}
	return listed
}

// CertificateOptions shape a certificate of Fulcio. The zero CertificateOptions
// makes one that verifies now: of a GitHub workflow, ten minutes from a minute
// ago, with an embedded timestamp (SCT) of the certificate log.
type CertificateOptions struct {
	// Subject is the subject alternative name: a URI if it has a "://", a mail
	// address if it has an "@", else a user name (Fulcio's otherName, such as
	// "alice!acme.test"). The default is DefaultSubject.
	Subject   string
	Also      []string // more names, in the same forms
	NoSubject bool     // no subject alternative name at all

	Issuer      string // of the identity, default DefaultIssuer
	OldIssuer   string // replaces the issuer in the older of the two extensions
	NoOldIssuer bool   // without extension .1
	NoIssuer    bool   // without extension .8
	// Extensions are added: by their number below 1.3.6.1.4.1.57264.1, as
	// strings that are encoded as Fulcio does.
	Extensions    map[Extension]string
	RawExtensions []pkix.Extension // added as they are

	NotBefore time.Time // default a minute ago
	NotAfter  time.Time // default ten minutes after NotBefore
	Kind      fixture.KeyKind
	Key       fixture.Key // default a fresh one of Kind

	NoUsage bool               // no extended key usage
	Usage   []x509.ExtKeyUsage // replaces code signing
	CA      bool               // the leaf may itself issue
	// Edit changes the certificate before it is signed. It may be nil.
	Edit func(*Template)

	ByRoot     bool // issued by Fulcio's root itself
	ByStray    bool // issued by an intermediate below the root that the trusted root does not list
	SelfSigned bool

	NoSCT    bool         // nothing was logged
	SCTs     []SCTOptions // replaces the one timestamp
	Detached bool         // the timestamps are not embedded, but in [Certificate.SCTs] alone
}

// The identity of a certificate by default.
const (
	DefaultSubject = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main"
	DefaultIssuer  = "https://token.actions.githubusercontent.com"
)

// Certificate is what Fulcio issued.
type Certificate struct {
	Key   fixture.Key // the certificate's
	Leaf  *x509.Certificate
	DER   []byte // of the leaf
	PEM   []byte // of the leaf
	Chain []*x509.Certificate
	// ChainPEM is Chain in PEM: the issuers, the root last, without the leaf,
	// as Fulcio sends it and cosign stores it. It is nil for a self-signed one.
	ChainPEM []byte
	SCTs     [][]byte // the timestamps as TLS writes them (RFC 6962 §3.2), embedded or not
}

// Issue makes a certificate.
func (s *Sigstore) Issue(tb testing.TB, o CertificateOptions) Certificate {
	tb.Helper()
	key := o.Key
	if key.Signer == nil {
		key = newKey(tb, o.Kind)
	}
	template, err := o.template()
	if err != nil {
		tb.Fatal(err)
	}
	issuer := s.issuer(o)
	c := Certificate{Key: key}
	if issuer == nil {
		issuer = &fixture.Authority{Key: key, Chain: []*x509.Certificate{template}}
	} else {
		c.Chain, c.ChainPEM = issuer.Chain, chainPEM(issuer.Chain)
	}
	c.Leaf = create(tb, template, issuer, key)
	if !o.NoSCT {
		if o.Detached {
			c.SCTs = s.scts(tb, o.SCTs, c.Leaf, issuer.Key, false)
		} else {
			// What is logged is the certificate without its timestamps.
			c.SCTs = s.scts(tb, o.SCTs, c.Leaf, issuer.Key, true)
			template.ExtraExtensions = append(slices.Clip(template.ExtraExtensions), sctExtension(tb, c.SCTs))
			c.Leaf = create(tb, template, issuer, key)
		}
	}
	c.DER, c.PEM = c.Leaf.Raw, chainPEM([]*x509.Certificate{c.Leaf})
	return c
}

// issuer returns who signs; nil for the key itself.
func (s *Sigstore) issuer(o CertificateOptions) *fixture.Authority {
	switch {
	case o.SelfSigned:
		return nil
	case o.ByRoot:
		return &s.fulcio.root
	case o.ByStray:
		return &s.fulcio.stray
	default:
		return &s.fulcio.intermediate
	}
}

func (o CertificateOptions) template() (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	if o.NotBefore.IsZero() {
		o.NotBefore = time.Now().Add(-time.Minute)
	}
	if o.NotAfter.IsZero() {
		o.NotAfter = o.NotBefore.Add(lifetime)
	}
	t := &x509.Certificate{
		SerialNumber: serial, NotBefore: o.NotBefore, NotAfter: o.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		IsCA: o.CA, BasicConstraintsValid: o.CA,
	}
	if o.CA {
		t.KeyUsage |= x509.KeyUsageCertSign
	}
	if o.Usage != nil {
		t.ExtKeyUsage = o.Usage
	}
	if o.NoUsage {
		t.ExtKeyUsage = nil
	}
	if o.SelfSigned {
		t.Subject = pkix.Name{CommonName: "self-signed"}
	}
	if t.ExtraExtensions, err = o.extensions(); err != nil {
		return nil, err
	}
	if o.Edit != nil {
		o.Edit(t)
	}
	return t, nil
}

func create(tb testing.TB, template *x509.Certificate, issuer *fixture.Authority, key fixture.Key) *x509.Certificate {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.Certificate(), key.Signer.Public(), issuer.Key.Signer)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func chainPEM(chain []*x509.Certificate) []byte {
	var all []byte
	for _, c := range chain {
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return all
}
