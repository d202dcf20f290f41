package notation

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"time"

	"github.com/notaryproject/notation-core-go/revocation/result"
)

// Revocation tells whether the certificates of a chain have been revoked.
//
// It is only asked about chains that descend from a trust store (TRUST R9).
// Implementations must be safe for concurrent use and must answer Unknown for
// what they could not find out.
type Revocation interface {
	// ID names the implementation and those of its options that change answers;
	// it is part of a signer's identity (TRUST R34).
	ID() string
	// Check must return one Status per certificate of the chain.
	Check(ctx context.Context, chain Chain) Answer
}

// Chain is a certificate chain to look up, the leaf first and the root last.
type Chain struct {
	Certificates []*x509.Certificate
	// Timestamping is set for the chain of a timestamp authority, else it is one
	// of a signer.
	Timestamping bool
	// SigningTime is when the signature was made, as its signing authority
	// vouches; zero if nobody does. A revocation that took effect later does not
	// count against it.
	SigningTime time.Time
}

// Status says what is known about one certificate.
type Status uint8

// The states. The zero Status is Unknown.
const (
	Unknown Status = iota
	Good
	// NotRevocable is a root, or a certificate that names neither OCSP nor CRL.
	NotRevocable
	Revoked
)

// Answer is what a Revocation found out. The zero Answer knows nothing.
type Answer struct {
	Statuses []Status
	// NextUpdate is when the answer must be asked for anew; zero if no authority
	// set a time.
	NextUpdate time.Time
	// Err says why a status is unknown. With an error no status counts except
	// Revoked.
	Err error
}

// Offline is a Revocation without a network: a certificate that names a
// revocation service is Unknown. The zero Offline is ready to use.
type Offline struct{}

// ID returns "offline".
func (Offline) ID() string { return "offline" }

// Check answers without asking anybody.
func (Offline) Check(_ context.Context, chain Chain) Answer {
	var a Answer
	for i, c := range chain.Certificates {
		if i == len(chain.Certificates)-1 || !namesRevocation(c) {
			a.Statuses = append(a.Statuses, NotRevocable)
			continue
		}
		a.Statuses, a.Err = append(a.Statuses, Unknown), errOffline
	}
	return a
}

var errOffline = errors.New("the certificate names a revocation service, and none is asked: revocation is offline")

// oidDistributionPoints is cRLDistributionPoints (RFC 5280 §4.2.1.13).
var oidDistributionPoints = asn1.ObjectIdentifier{2, 5, 29, 31}

// namesRevocation reports whether a certificate can be revoked at all (TRUST
// R29). A distribution point without a URL also names a list; it is one that
// cannot be fetched.
func namesRevocation(c *x509.Certificate) bool {
	return len(c.OCSPServer) > 0 || len(c.CRLDistributionPoints) > 0 || hasExtension(c, oidDistributionPoints)
}

func hasExtension(c *x509.Certificate, id asn1.ObjectIdentifier) bool {
	for _, e := range c.Extensions {
		if e.Id.Equal(id) {
			return true
		}
	}
	return false
}

// verdict sums an answer up: revoked if any certificate is, unknown if any is
// or the answer does not fit the chain.
func (a Answer) verdict(chain []*x509.Certificate) Status {
	if slices.Contains(a.Statuses, Revoked) {
		return Revoked
	}
	if len(a.Statuses) != len(chain) || len(chain) == 0 || a.Err != nil {
		return Unknown
	}
	for _, s := range a.Statuses {
		if s != Good && s != NotRevocable {
			return Unknown
		}
	}
	return Good
}

// results renders an answer for the library, which takes one result per
// certificate on trust: no result at all would mean "not revoked" to it.
func (a Answer) results(chain []*x509.Certificate) []*result.CertRevocationResult {
	verdict := a.verdict(chain)
	all := make([]*result.CertRevocationResult, len(chain))
	for i := range all {
		r := result.ResultUnknown
		switch {
		case verdict == Good:
			r = result.ResultOK
		case i < len(a.Statuses) && a.Statuses[i] == Revoked:
			r = result.ResultRevoked
		}
		all[i] = &result.CertRevocationResult{Result: r, ServerResults: []*result.ServerResult{{Result: r}}}
	}
	return all
}
