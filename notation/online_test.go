package notation_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/notation"
)

// services is a revocation server over HTTP that counts requests.
type services struct {
	*httptest.Server
	requests atomic.Int64
	answer   func(w http.ResponseWriter, r *http.Request)
}

func newServices(t *testing.T) *services {
	t.Helper()
	s := &services{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if s.answer != nil {
			s.answer(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *services) online(t *testing.T) *notation.Online {
	t.Helper()
	o, err := notation.NewOnline(s.Client(), time.Now)
	return must(t, o, err)
}

func TestR9NothingIsFetchedForAnUntrustedChain(t *testing.T) {
	server := newServices(t)
	at := fixture.CertificateOptions{OCSP: []string{server.URL + "/ocsp"}, CRL: []string{server.URL + "/crl"}}
	trusted := newPKI(t, at)
	o := at
	o.Subject = subject("Intermediate")
	root, err := fixture.NewAuthority(fixture.CertificateOptions{Subject: subject("Root")})
	must(t, root, err)
	between, err := root.Intermediate(o)
	must(t, between, err)
	stranger := issue(t, between, at)

	for formatName, format := range formats {
		for _, level := range []string{notation.Strict, notation.Permissive, notation.Audit} {
			t.Run(formatName+"/"+level, func(t *testing.T) {
				o := trusted.options()
				o.Level, o.Revocation = level, server.online(t)
				s := newSigner(t, o)
				fetched := func(it evidence.Item, of evidence.Image) int64 {
					before := server.requests.Load()
					_, err := s.Verify(t.Context(), of, it)
					if err == nil && level != notation.Permissive {
						t.Error("want no proof, got one")
					}
					return server.requests.Load() - before
				}
				if n := fetched(item(t, image("content"), stranger, fixture.NotationOptions{Format: format}), image("content")); n != 0 {
					t.Errorf("want nothing fetched for a chain of a stranger, got %d requests", n)
				}
				genuine := item(t, image("content"), trusted.leaf, fixture.NotationOptions{Format: format})
				if n := fetched(retarget(t, genuine, image("other")), image("other")); n != 0 {
					t.Errorf("want nothing fetched for a forged signature, got %d requests", n)
				}
				if n := fetched(genuine, image("other")); n != 0 {
					t.Errorf("want nothing fetched for a signature of another image, got %d requests", n)
				}
				if n := fetched(genuine, image("content")); n == 0 {
					t.Error("want the services asked about a trusted chain, got no request: this test could not fail")
				}
			})
		}
	}
}

// A stranger can have his signature timestamped by a trusted authority.
func TestR9NothingIsFetchedForATimestampOfAnUntrustedSigner(t *testing.T) {
	server := newServices(t)
	now := time.Now().Truncate(time.Second)
	trusted, stranger := newPKI(t, fixture.CertificateOptions{NotBefore: now.Add(-9 * hour)}), newPKI(t, fixture.CertificateOptions{NotBefore: now.Add(-9 * hour)})
	authority := newTSA(t, now.Add(-2*hour), fixture.CertificateOptions{NotBefore: now.Add(-99 * hour), OCSP: []string{server.URL}})
	o := trusted.options()
	o.TrustStores = append(o.TrustStores, authority.store(notation.TSA))
	o.Level, o.Revocation = notation.Audit, server.online(t)
	s := newSigner(t, o)
	stamped := func(p pki) evidence.Item {
		return item(t, image("content"), p.leaf, authority.stamp(fixture.NotationOptions{SigningTime: now.Add(-3 * hour)}))
	}
	verified(t, s, image("content"), stamped(stranger), evidence.NotEnforced)
	if n := server.requests.Load(); n != 0 {
		t.Errorf("want nothing fetched for a stranger's timestamp, got %d requests", n)
	}
	verified(t, s, image("content"), stamped(trusted), evidence.NotEnforced)
	if server.requests.Load() == 0 {
		t.Error("want the service asked for a trusted signer's timestamp, got no request: this test could not fail")
	}
}

func TestR1RevocationListsAreBounded(t *testing.T) {
	var sent atomic.Int64
	online, err := notation.NewOnline(&http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		body := io.LimitReader(zeros{&sent}, 20<<20)
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body), Request: r}, nil
	})}, time.Now)
	must(t, online, err)
	// Three lists of one chain.
	root, err := fixture.NewAuthority(fixture.CertificateOptions{Subject: subject("Root")})
	must(t, root, err)
	between := fixture.CertificateOptions{Subject: subject("Intermediate"), CRL: []string{"http://crl.invalid/"}}
	first, err := root.Intermediate(between)
	must(t, first, err)
	second, err := first.Intermediate(between)
	must(t, second, err)
	p := pki{root: root, leaf: issue(t, second, fixture.CertificateOptions{CRL: between.CRL})}
	o := p.options()
	o.Revocation = online
	verified(t, newSigner(t, o), image("content"), item(t, image("content"), p.leaf, fixture.NotationOptions{}), evidence.RevocationUnknown)
	if sent.Load() > 34<<20 {
		t.Errorf("want at most 32 MiB read, got %d bytes", sent.Load())
	}
}

// zeros is an endless body that counts what is read of it.
type zeros struct{ n *atomic.Int64 }

func (z zeros) Read(p []byte) (int, error) {
	z.n.Add(int64(len(p)))
	return len(p), nil
}

func TestOCSP(t *testing.T) {
	server := newServices(t)
	p := newPKI(t, fixture.CertificateOptions{OCSP: []string{server.URL}})
	responder := func(edit func(*x509.Certificate)) fixture.Leaf {
		return issue(t, p.root, fixture.CertificateOptions{Subject: subject("responder"), NotBefore: time.Now().Add(-9 * hour), Edit: edit})
	}
	signing := responder(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning} })
	next := time.Now().Add(2 * hour).Truncate(time.Second).UTC()
	for name, tc := range map[string]struct {
		reason string
		by     fixture.Leaf // zero means the issuer itself
		status int
		next   time.Time
		raw    []byte
		want   evidence.Reason
	}{
		"Good":             {reason: "the issuer says so", next: next, want: ""},
		"Revoked":          {reason: "the issuer says so", status: ocsp.Revoked, next: next, want: evidence.CertificateRevoked},
		"Unknown":          {reason: "the issuer does not know it", status: ocsp.Unknown, next: next, want: evidence.RevocationUnknown},
		"Stale":            {reason: "the answer is of yesterday", next: time.Now().Add(-hour), want: evidence.RevocationUnknown},
		"Responder":        {reason: "the issuer authorised a responder", by: signing, next: next, want: ""},
		"SelfVouched":      {reason: "another certificate of the issuer, here the leaf itself, is no responder", by: p.leaf, next: next, want: evidence.RevocationUnknown},
		"ExpiredResponder": {reason: "its authorisation has ended", by: responder(expiredResponder), next: next, want: evidence.RevocationUnknown},
		"Stranger":         {reason: "nobody authorised it", by: newPKI(t, fixture.CertificateOptions{}).leaf, next: next, want: evidence.RevocationUnknown},
		"Garbage":          {reason: "it is no answer", raw: []byte("<html>"), want: evidence.RevocationUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			server.answer = func(w http.ResponseWriter, _ *http.Request) {
				if tc.raw != nil {
					w.Write(tc.raw)
					return
				}
				template := ocsp.Response{Status: tc.status, SerialNumber: p.leaf.Certificate().SerialNumber, ThisUpdate: time.Now().Add(-3 * hour), NextUpdate: tc.next, RevokedAt: time.Now().Add(-hour)}
				by, key := p.root.Certificate(), p.root.Key.Signer
				if tc.by.Chain != nil {
					by, key = tc.by.Certificate(), tc.by.Key.Signer
					template.Certificate = by
				}
				raw, err := ocsp.CreateResponse(p.root.Certificate(), by, template, key)
				if err != nil {
					t.Error(err)
				}
				w.Write(raw)
			}
			o := p.options()
			o.Revocation = server.online(t)
			proof := verified(t, newSigner(t, o), image("content"), item(t, image("content"), p.leaf, fixture.NotationOptions{}), tc.want)
			if tc.want == "" && !proof.Expires.Equal(tc.next) {
				t.Errorf("want the proof to end at nextUpdate %s (R35), got %s", tc.next, proof.Expires)
			}
		})
	}
}

func expiredResponder(c *x509.Certificate) {
	c.ExtKeyUsage, c.NotAfter = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, time.Now().Add(-hour)
}

func TestCRL(t *testing.T) {
	server := newServices(t)
	url := server.URL + "/crl"
	p := newPKI(t, fixture.CertificateOptions{CRL: []string{url}})
	next := time.Now().Add(2 * hour).Truncate(time.Second).UTC()
	for name, tc := range map[string]struct {
		reason  string
		revoked bool
		next    time.Time
		point   []byte // issuing distribution point
		by      fixture.Authority
		broken  bool
		want    evidence.Reason
	}{
		"Good":            {reason: "the list does not have it", next: next, want: ""},
		"Revoked":         {reason: "the list has it", revoked: true, next: next, want: evidence.CertificateRevoked},
		"Stale":           {reason: "the list is of yesterday", next: time.Now().Add(-hour), want: evidence.RevocationUnknown},
		"OwnPoint":        {reason: "the list says that it is the one", next: next, point: distributionPoint(t, url, 0), want: ""},
		"OtherPoint":      {reason: "the list is another part of the issuer's", next: next, point: distributionPoint(t, server.URL+"/other", 0), want: evidence.RevocationUnknown},
		"AuthoritiesOnly": {reason: "the list has no signers", next: next, point: distributionPoint(t, "", 2), want: evidence.RevocationUnknown},
		"UsersOnly":       {reason: "the list is of signers", next: next, point: distributionPoint(t, "", 1), want: ""},
		"Indirect":        {reason: "the list is another issuer's", next: next, point: distributionPoint(t, "", 4), want: evidence.RevocationUnknown},
		"Stranger":        {reason: "the list is signed by nobody known", next: next, by: newPKI(t, fixture.CertificateOptions{}).root, want: evidence.RevocationUnknown},
		"Broken":          {reason: "the service fails", broken: true, next: next, want: evidence.RevocationUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			list := &x509.RevocationList{Number: big.NewInt(7), ThisUpdate: time.Now().Add(-3 * hour), NextUpdate: tc.next}
			if tc.revoked {
				list.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: p.leaf.Certificate().SerialNumber, RevocationTime: time.Now().Add(-hour)}}
			}
			if tc.point != nil {
				list.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: tc.point}}
			}
			by := p.root
			if tc.by.Chain != nil {
				by = tc.by
			}
			raw, err := x509.CreateRevocationList(rand.Reader, list, by.Certificate(), by.Key.Signer)
			must(t, raw, err)
			server.answer = func(w http.ResponseWriter, _ *http.Request) {
				if tc.broken {
					w.WriteHeader(http.StatusBadGateway)
					return
				}
				w.Write(raw)
			}
			o := p.options()
			o.Revocation = server.online(t)
			proof := verified(t, newSigner(t, o), image("content"), item(t, image("content"), p.leaf, fixture.NotationOptions{}), tc.want)
			if tc.want == "" && !proof.Expires.Equal(tc.next) {
				t.Errorf("want the proof to end at nextUpdate %s (R35), got %s", tc.next, proof.Expires)
			}
		})
	}
}

// distributionPoint encodes an IssuingDistributionPoint with a URL, or with one
// of its flags.
func distributionPoint(t *testing.T, url string, flag int) []byte {
	t.Helper()
	type name struct {
		Full []asn1.RawValue `asn1:"optional,tag:0"`
	}
	type point struct {
		Name name            `asn1:"optional,tag:0"`
		Flag []asn1.RawValue `asn1:"optional,omitempty"`
	}
	if url != "" {
		raw, err := asn1.Marshal(point{Name: name{Full: []asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(url)}}}})
		return must(t, raw, err)
	}
	raw, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: flag, Bytes: []byte{0xff}}})
	return must(t, raw, err)
}

// A service that is named in a way that the library did not expect must not
// end the process, nor decide.
func TestServicesOfTrustedChainsAreBounded(t *testing.T) {
	server := newServices(t)
	many := make([]string, 20)
	for i := range many {
		many[i] = server.URL
	}
	for name, urls := range map[string][]string{
		"Many":      many,
		"NoURL":     {"http://%zz"},
		"OtherPlan": {"ldap://directory.invalid/"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPKI(t, fixture.CertificateOptions{OCSP: urls})
			o := p.options()
			o.Revocation = server.online(t)
			verified(t, newSigner(t, o), image("content"), item(t, image("content"), p.leaf, fixture.NotationOptions{}), evidence.RevocationUnknown)
		})
	}
	if n := server.requests.Load(); n != 0 {
		t.Errorf("want no request, got %d", n)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestOnlineUsesOnlyTheClientItWasGiven(t *testing.T) {
	if _, err := notation.NewOnline(nil, time.Now); err == nil {
		t.Error("want an error without a client, got none")
	}
	errBoom := errors.New("boom")
	asked := 0
	client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		asked++
		if r.Body != nil {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				t.Error(err)
			}
		}
		return nil, errBoom
	})}
	online, err := notation.NewOnline(client, time.Now)
	must(t, online, err)
	p := newPKI(t, fixture.CertificateOptions{OCSP: []string{"http://127.0.0.1:1/"}, CRL: []string{"http://127.0.0.1:1/"}})
	o := p.options()
	o.Revocation = online
	_, err = newSigner(t, o).Verify(t.Context(), image("content"), item(t, image("content"), p.leaf, fixture.NotationOptions{}))
	if reason(err) != evidence.RevocationUnknown || !strings.Contains(err.Error(), "boom") || asked != 2 {
		t.Errorf("want OCSP and CRL asked through the client and its error told, got %d requests: %v", asked, err)
	}
}

// A revoked intermediate answers for itself, under the serial number of a leaf
// that it issued for the purpose.
func TestRevocationOfAnIntermediateThatVouchesForItself(t *testing.T) {
	server := newServices(t)
	root, err := fixture.NewAuthority(fixture.CertificateOptions{Subject: subject("Root")})
	must(t, root, err)
	serial := big.NewInt(42) // of both, so that the leaf could be meant
	key := func() fixture.Key {
		k, err := fixture.NewKey(0)
		return must(t, k, err)
	}
	made := func(template, parent *x509.Certificate, of, by fixture.Key) *x509.Certificate {
		template.SerialNumber, template.NotBefore, template.NotAfter = serial, time.Now().Add(-hour), time.Now().Add(hour)
		raw, err := x509.CreateCertificate(rand.Reader, template, parent, of.Signer.Public(), by.Signer)
		must(t, raw, err)
		c, err := x509.ParseCertificate(raw)
		return must(t, c, err)
	}
	betweenKey, leafKey := key(), key()
	between := made(&x509.Certificate{
		Subject: subject("Intermediate"), OCSPServer: []string{server.URL}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, root.Certificate(), betweenKey, root.Key)
	leaf := fixture.Leaf{Key: leafKey, Chain: []*x509.Certificate{
		made(&x509.Certificate{Subject: subject("signer"), KeyUsage: x509.KeyUsageDigitalSignature}, between, leafKey, betweenKey), between, root.Certificate(),
	}}
	server.answer = func(w http.ResponseWriter, _ *http.Request) {
		raw, err := ocsp.CreateResponse(root.Certificate(), between, ocsp.Response{
			Status: ocsp.Good, SerialNumber: serial, ThisUpdate: time.Now(), NextUpdate: time.Now().Add(hour), Certificate: between,
		}, betweenKey.Signer)
		if err != nil {
			t.Error(err)
		}
		w.Write(raw)
	}
	p := pki{root: root, leaf: leaf}
	o := p.options()
	o.Revocation = server.online(t)
	verified(t, newSigner(t, o), image("content"), item(t, image("content"), leaf, fixture.NotationOptions{}), evidence.RevocationUnknown)
	if server.requests.Load() == 0 {
		t.Error("want the service asked, got no request")
	}
}
