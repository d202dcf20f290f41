package registry

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
)

// Options configure a [Client]. Only Clock is required; the zero value of
// every other field is the strictest setting or the named default.
type Options struct {
	// Clock tells the time, for the life of tokens and the circuit breakers.
	Clock func() time.Time
	// Keychain finds credentials; nil reads anonymously.
	Keychain Keychain
	// Observer is told of every HTTP request; nil is nobody.
	Observer Observer

	// AllowedHosts are hosts, "name" or "name:port", that the operator vouches
	// for: they may have any address, as registries, as redirect targets and as
	// token realms (TRUST R6, R8). A name without port is that name at port 443.
	AllowedHosts []string
	// InsecureHosts are AllowedHosts with which unverified TLS and plain HTTP
	// are spoken (TRUST R7). TLS is tried first. A name without port is that
	// name at the scheme's own port.
	InsecureHosts []string
	// Workstation says that the images are named by the person at the machine:
	// registries may have any address, and plain HTTP is spoken to registries on
	// loopback. Redirects and realms are held to the same rules as otherwise,
	// but for those from loopback to loopback.
	Workstation bool
	// ServiceNetworks are the cluster's service addresses, which no registry may
	// have unless the operator names it (TRUST R8).
	ServiceNetworks []netip.Prefix

	// Hosts is what the operator says about single registries; nil is nothing.
	Hosts *Hosts
	// RootCAs verify TLS; nil means the system's.
	RootCAs *x509.CertPool
	// Proxy returns the proxy for a URL, or nil for none, as the ProxyFunc of
	// golang.org/x/net/http/httpproxy does. A nil Proxy never uses one.
	Proxy func(*url.URL) (*url.URL, error)
	// Resolver looks names up; nil means the system's.
	Resolver *net.Resolver
	// UserAgent is sent with every request; empty means "bonafide".
	UserAgent string

	// PerHost bounds concurrent requests to one host.
	PerHost int
	// RequestTimeout bounds one request with its body; ConnectTimeout the part
	// before it. The caller's deadline counts beside both.
	RequestTimeout, ConnectTimeout time.Duration
	// Attempts bounds tries on 429, 5xx and lost connections; 1 never retries.
	Attempts int
	// Backoff is the wait before the first retry where the registry asks for
	// none.
	Backoff time.Duration
	// BreakerFailures and BreakerPause are when and for how long a host that
	// cannot be reached is left alone (TRUST R10).
	BreakerFailures int
	BreakerPause    time.Duration
	// Slow is from when on a caller's own deadline counts as the host's failure.
	Slow time.Duration
	// Sleep waits for d, or less if ctx ends, and returns its error then; nil
	// waits by the wall clock.
	Sleep func(ctx context.Context, d time.Duration) error

	Limits Limits
}

// Limits bound what is read. Zero in any field means its default; nothing
// means "unbounded".
type Limits struct {
	ManifestBytes int64 // of one manifest, or one page of referrers
	Referrers     int   // returned by one list
	ReferrerPages int   // read for one list
	InFlightBytes int64 // being read in the whole process; one body gets a quarter at most
}

// Observer is told of HTTP requests, for metrics.
type Observer interface {
	// Request is called once per HTTP request, after its body was read. It must
	// not block. Bounding the hosts that become labels is its duty: image names
	// choose them (TRUST R47).
	Request(RequestInfo)
}

// ObserverFunc is a function that is an [Observer].
type ObserverFunc func(RequestInfo)

// Request calls f.
func (f ObserverFunc) Request(r RequestInfo) { f(r) }

// RequestInfo describes one HTTP request.
type RequestInfo struct {
	Host     string // that the request went to: a registry's, a realm's or a redirect target's
	Method   string
	Kind     Kind
	Status   int // 0 if no answer came
	Bytes    int // of the body, as read
	Duration time.Duration
	Reason   evidence.Reason // why no answer came; empty if one did
}

// Kind is what a request is for.
type Kind string

// The kinds.
const (
	KindManifest  Kind = "manifest"
	KindBlob      Kind = "blob"
	KindReferrers Kind = "referrers"
	KindToken     Kind = "token"
)

// LoadCAs returns the system's certificate authorities and those of the PEM
// files. A file without a certificate is an error.
func LoadCAs(files ...string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // none on this system: the files alone count
	}
	for _, file := range files {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read certificate authorities: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("expected PEM certificates in %q, got none", file)
		}
	}
	return pool, nil
}

func (o Options) withDefaults() (Options, error) {
	if o.Clock == nil {
		return o, errors.New("expected a Clock in registry options, got none")
	}
	if o.UserAgent == "" {
		o.UserAgent = "bonafide"
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	o.PerHost = positive(o.PerHost, DefaultPerHost)
	o.RequestTimeout = positive(o.RequestTimeout, DefaultRequestTimeout)
	o.ConnectTimeout = positive(o.ConnectTimeout, DefaultConnectTimeout)
	o.Attempts = positive(o.Attempts, DefaultAttempts)
	o.Backoff = positive(o.Backoff, DefaultBackoff)
	o.BreakerFailures = positive(o.BreakerFailures, DefaultBreakerFailures)
	o.BreakerPause = positive(o.BreakerPause, DefaultBreakerPause)
	o.Slow = positive(o.Slow, DefaultSlow)
	o.Limits = o.Limits.withDefaults()
	return o, nil
}

func (l Limits) withDefaults() Limits {
	return Limits{
		ManifestBytes: positive(l.ManifestBytes, DefaultManifestBytes),
		Referrers:     positive(l.Referrers, DefaultReferrers),
		ReferrerPages: positive(l.ReferrerPages, DefaultReferrerPages),
		InFlightBytes: positive(l.InFlightBytes, DefaultInFlightBytes),
	}
}

func positive[N int | int64 | time.Duration](n, otherwise N) N {
	if n <= 0 {
		return otherwise
	}
	return n
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
