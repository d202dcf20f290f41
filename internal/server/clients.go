package server

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Bounds on what is remembered of clients.
const (
	// maxKnownClients: each API server has one certificate.
	maxKnownClients = 64
	// knownClientTTL is how long a certificate is not verified again, so that
	// one that ends or is distrusted is noticed.
	knownClientTTL = time.Minute
)

var errNoClientCertificate = errors.New("expected a client certificate of an authority that may use this path, got none")

// clientCheck verifies client certificates against one set of authorities. It
// remembers for a while those that verified, since callers ask again and again
// over one connection. It is safe for concurrent use.
type clientCheck struct {
	roots func() *x509.CertPool
	now   func() time.Time

	mu    sync.Mutex
	known map[[sha256.Size]byte]knownClient
}

type knownClient struct {
	roots *x509.CertPool // under which it verified
	until time.Time
}

// check returns why the client may not use the path, or nil. That the client
// holds the certificate's key was proven in the handshake.
func (c *clientCheck) check(state *tls.ConnectionState) error {
	roots := c.roots()
	if state == nil || len(state.PeerCertificates) == 0 || roots == nil {
		return errNoClientCertificate
	}
	now := c.now()
	key := chainKey(state.PeerCertificates)
	if c.remembers(key, roots, now) {
		return nil
	}
	between := x509.NewCertPool()
	for _, certificate := range state.PeerCertificates[1:] {
		between.AddCert(certificate)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("expected a client certificate of an authority that may use this path: %w", err)
	}
	c.remember(key, knownClient{roots: roots, until: now.Add(knownClientTTL)}, now)
	return nil
}

func chainKey(chain []*x509.Certificate) [sha256.Size]byte {
	if len(chain) == 1 {
		return sha256.Sum256(chain[0].Raw)
	}
	h := sha256.New()
	for _, certificate := range chain {
		h.Write(certificate.Raw) // DER tells where each ends
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func (c *clientCheck) remembers(key [sha256.Size]byte, roots *x509.CertPool, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, found := c.known[key]
	return found && k.roots == roots && now.Before(k.until)
}

func (c *clientCheck) remember(key [sha256.Size]byte, k knownClient, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for other, o := range c.known {
		if !now.Before(o.until) || o.roots != k.roots {
			delete(c.known, other)
		}
	}
	if c.known == nil {
		c.known = map[[sha256.Size]byte]knownClient{}
	}
	if len(c.known) < maxKnownClients {
		c.known[key] = k
	}
}
