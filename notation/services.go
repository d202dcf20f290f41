package notation

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/notaryproject/notation-core-go/revocation/crl"
	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"
)

// maxOCSP bounds an OCSP response. It is the library's bound, too; real
// responses have some 4 KiB.
const maxOCSP = 20480

// responder checks OCSP responses before the library sees them, for what the
// library leaves out: whether whoever signed the response may do so.
type responder struct {
	next  http.RoundTripper
	chain Chain
	now   func() time.Time
	seen  *updates
}

// RoundTrip implements http.RoundTripper.
func (r *responder) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	if err != nil || response.StatusCode != http.StatusOK {
		return response, err
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := io.Copy(&body, io.LimitReader(response.Body, maxOCSP)); err != nil {
		return nil, fmt.Errorf("read OCSP response: %w", err)
	}
	if err := r.check(body.Bytes()); err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(&body)
	return response, nil
}

// check looks at the response as one about each certificate of the chain that
// it could be about. One that parses as none of them fails in the library.
//
// RFC 6960 §4.2.2.2: a response is signed by the issuer itself, or under a
// certificate that the issuer gave out for signing OCSP responses. Without the
// second half, everyone with a certificate of the issuer, its revoked one
// included, could vouch for himself.
func (r *responder) check(body []byte) error {
	chain := r.chain.Certificates
	for i, c := range chain[:len(chain)-1] {
		response, err := ocsp.ParseResponseForCert(body, c, chain[i+1])
		if err != nil {
			continue
		}
		if d := response.Certificate; d != nil && !d.Equal(chain[i+1]) {
			if !slices.Contains(d.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
				return fmt.Errorf("OCSP response about %q: expected a responder that the issuer authorised, got %q", subjectOf(c), subjectOf(d))
			}
			if now := r.now(); now.Before(d.NotBefore) || now.After(d.NotAfter) {
				return fmt.Errorf("OCSP response about %q: expected a responder's certificate that is valid now, got one until %s", subjectOf(c), day(d.NotAfter))
			}
		}
		r.seen.add(response.NextUpdate)
	}
	return nil
}

// maxLists bounds the bytes of all revocation lists of one chain. The largest
// lists in use are below 16 MiB.
const maxLists = 32 << 20

// budget ends the reading of bodies when all of them together are too long.
type budget struct {
	next http.RoundTripper
	read atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (b *budget) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(request)
	if err == nil {
		response.Body = &budgetBody{ReadCloser: response.Body, budget: b}
	}
	return response, err
}

type budgetBody struct {
	io.ReadCloser
	budget *budget
}

// Read takes what it may read from the budget first and gives back the rest:
// the lists of a chain are read at the same time.
func (b *budgetBody) Read(p []byte) (int, error) {
	over := b.budget.read.Add(int64(len(p))) - maxLists
	if over > 0 {
		b.budget.read.Add(-min(over, int64(len(p))))
		if over >= int64(len(p)) {
			return 0, fmt.Errorf("expected at most %d bytes of revocation lists, got more", maxLists)
		}
		p = p[:int64(len(p))-over]
	}
	n, err := b.ReadCloser.Read(p)
	b.budget.read.Add(int64(n - len(p)))
	return n, err
}

// lists checks revocation lists before the library sees them, for what the
// library leaves out: whether the list is the one that was asked for.
type lists struct {
	next  crl.Fetcher
	chain Chain
	seen  *updates
}

// Fetch implements crl.Fetcher.
func (l *lists) Fetch(ctx context.Context, url string) (*crl.Bundle, error) {
	bundle, err := l.next.Fetch(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("fetch CRL: %w", err)
	}
	if bundle.BaseCRL == nil {
		return nil, errors.New("fetch CRL: expected a base list, got none")
	}
	for _, list := range []*x509.RevocationList{bundle.BaseCRL, bundle.DeltaCRL} {
		if list == nil {
			continue
		}
		if list.Number == nil {
			return nil, errors.New("expected a CRL with a number, got none")
		}
		if err := l.scope(list, url); err != nil {
			return nil, err
		}
		l.seen.add(list.NextUpdate)
	}
	return bundle, nil
}

// oidIssuingDistributionPoint is RFC 5280 §5.2.5.
var oidIssuingDistributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}

// scope refuses a list whose scope is not the certificate's. An issuer signs
// all parts of its list with one key and they come over plain HTTP: without
// RFC 5280 §6.3.3 (b)(2), another part would do as well.
func (l *lists) scope(list *x509.RevocationList, url string) error {
	for _, e := range list.Extensions {
		if !e.Id.Equal(oidIssuingDistributionPoint) {
			continue
		}
		p, err := parsePoint(e.Value)
		if err != nil {
			return err
		}
		if p.partial || len(p.names) > 0 && !slices.Contains(p.names, url) {
			return fmt.Errorf("expected the CRL of %q, got one of another scope", clip(url))
		}
		for _, c := range l.chain.Certificates {
			if slices.Contains(c.CRLDistributionPoints, url) && (c.IsCA && p.onlyUsers || !c.IsCA && p.onlyAuthorities) {
				return fmt.Errorf("expected a CRL that covers %q, got one of another scope", subjectOf(c))
			}
		}
	}
	return nil
}

// point is an IssuingDistributionPoint.
type point struct {
	names                      []string
	onlyUsers, onlyAuthorities bool
	partial                    bool // some reasons only, indirect, attribute certificates, or named otherwise
}

//	IssuingDistributionPoint ::= SEQUENCE {
//	   distributionPoint          [0] DistributionPointName OPTIONAL,
//	   onlyContainsUserCerts      [1] BOOLEAN DEFAULT FALSE,
//	   onlyContainsCACerts        [2] BOOLEAN DEFAULT FALSE,
//	   onlySomeReasons            [3] ReasonFlags OPTIONAL,
//	   indirectCRL                [4] BOOLEAN DEFAULT FALSE,
//	   onlyContainsAttributeCerts [5] BOOLEAN DEFAULT FALSE }
func parsePoint(raw []byte) (point, error) {
	malformed := errors.New("expected a CRL with a well-formed issuing distribution point")
	var p point
	input := cryptobyte.String(raw)
	if !input.ReadASN1(&input, der.SEQUENCE) {
		return point{}, malformed
	}
	for !input.Empty() {
		var field cryptobyte.String
		var tag der.Tag
		if !input.ReadAnyASN1(&field, &tag) {
			return point{}, malformed
		}
		set := len(field) == 1 && field[0] != 0
		switch tag {
		case der.Tag(0).ContextSpecific().Constructed():
			names, ok := fullNames(field)
			if !ok {
				p.partial = true
			}
			p.names = names
		case der.Tag(1).ContextSpecific():
			p.onlyUsers = set
		case der.Tag(2).ContextSpecific():
			p.onlyAuthorities = set
		default:
			p.partial = true
		}
	}
	return p, nil
}

// fullNames reads the URLs of a DistributionPointName; ok is false if it names
// the point in another way.
func fullNames(field cryptobyte.String) (urls []string, ok bool) {
	var names cryptobyte.String
	if !field.ReadASN1(&names, der.Tag(0).ContextSpecific().Constructed()) {
		return nil, false
	}
	for !names.Empty() {
		var name cryptobyte.String
		var tag der.Tag
		if !names.ReadAnyASN1(&name, &tag) {
			return nil, false
		}
		if tag == der.Tag(6).ContextSpecific() { // uniformResourceIdentifier
			urls = append(urls, string(name))
		}
	}
	return urls, len(urls) > 0
}
