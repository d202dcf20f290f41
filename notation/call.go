package notation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/notaryproject/notation-core-go/revocation"
	"github.com/notaryproject/notation-core-go/revocation/result"
	"github.com/notaryproject/notation-go/verifier/truststore"
)

// call is one verification. The library asks it for certificates, plugins and
// revocation, and it remembers what was asked and answered, since the library
// reports failures as text. A call is used by one goroutine, once.
type call struct {
	statement  *statement
	revocation Revocation
	envelope   envelope
	plugins    []Plugin // that the signer allows
	// wanted reports that the payload names the image. Nothing is asked about
	// the certificates of a signature that cannot become a proof.
	wanted bool

	trusted    []*x509.Certificate // of the store that the signature's scheme selects
	signer     lookup              // of the signer's chain
	timestamp  lookup              // of the timestamp authority's chain
	nextUpdate time.Time
	plugin     *Plugin // that the signature calls for, if it is allowed
}

// lookup is what became of one revocation check.
type lookup struct {
	asked  bool
	status Status
	err    error
}

// GetCertificates implements truststore.X509TrustStore.
func (c *call) GetCertificates(_ context.Context, t truststore.Type, name string) ([]*x509.Certificate, error) {
	i := slices.IndexFunc(c.statement.stores, func(s TrustStore) bool {
		return string(s.Type) == string(t) && s.Name == name
	})
	if i < 0 {
		return nil, fmt.Errorf("expected trust store %q of type %q, got none", name, t)
	}
	certificates := c.statement.stores[i].Certificates
	if t != truststore.TypeTSA {
		c.trusted = append(c.trusted, certificates...)
	}
	return certificates, nil
}

// anchor returns the certificate of the chain that is in the trust store, or
// nil. It says nothing about the links below it: integrity does.
func (c *call) anchor() *x509.Certificate {
	for _, certificate := range c.envelope.chain {
		if slices.ContainsFunc(c.trusted, certificate.Equal) {
			return certificate
		}
	}
	return nil
}

var _ truststore.X509TrustStore = (*call)(nil)

var (
	errUnanchored = errors.New("the chain does not reach the trust store, so that nothing in it is looked up")
	errUnwanted   = errors.New("the signature is for another image, so that nothing in it is looked up")
)

// validator is the library's door to a Revocation.
type validator struct {
	call         *call
	timestamping bool
}

// ValidateContext implements revocation.Validator. The library asks after it
// has linked the chain; where a level only logs authenticity it asks about
// chains of strangers too, and those must not make us connect (TRUST R9).
func (v validator) ValidateContext(ctx context.Context, o revocation.ValidateContextOptions) ([]*result.CertRevocationResult, error) {
	found := &v.call.signer
	if v.timestamping {
		found = &v.call.timestamp
	}
	found.asked = true
	switch {
	case v.call.anchor() == nil:
		found.err = errUnanchored
		return nil, errUnanchored
	case !v.call.wanted:
		found.err = errUnwanted
		return nil, errUnwanted
	}
	a := v.call.revocation.Check(ctx, Chain{Certificates: o.CertChain, Timestamping: v.timestamping, SigningTime: o.AuthenticSigningTime})
	found.status, found.err = a.verdict(o.CertChain), a.Err
	v.call.nextUpdate = earliest(v.call.nextUpdate, a.NextUpdate)
	return a.results(o.CertChain), nil
}

// earliest returns the first of its times, where zero means never.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
