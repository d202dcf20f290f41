package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"
)

// transportKey separates connections: one that was made under a lax rule is
// never used again under a stricter one.
type transportKey struct {
	rule       addressRule
	unverified bool
	proxied    bool
	tls        *hostTLS // nil: as for all
	named      bool     // its client certificate is shown
}

type transports struct {
	options *Options
	mu      sync.Mutex
	made    map[transportKey]*http.Transport
}

func newTransports(o *Options) *transports {
	return &transports{options: o, made: make(map[transportKey]*http.Transport)}
}

// roundTrip sends one request, directly or through the operator's proxy. It
// follows no redirect.
func (t *transports) roundTrip(req *http.Request, r reach) (*http.Response, error) {
	key := transportKey{rule: r.rule, unverified: r.unverified}
	key.tls, key.named = t.options.Hosts.current().tlsFor(r.origin, req.URL)
	proxy, err := t.proxyFor(req.URL)
	if err != nil {
		return nil, err
	}
	if proxy != nil {
		if r.rule == loopbackOnly {
			return nil, &refusal{expected: "a direct connection to loopback", got: "a proxy for it"}
		}
		key.proxied = true
		// net/http has one TLS configuration for the proxy and for what is
		// behind it. The operator has named the registry, not the proxy.
		key.unverified = key.unverified && proxy.Scheme != "https"
	}
	return t.get(key).RoundTrip(req)
}

func (t *transports) proxyFor(u *url.URL) (*url.URL, error) {
	if t.options.Proxy == nil {
		return nil, nil // no proxy
	}
	proxy, err := t.options.Proxy(u)
	if err != nil {
		return nil, &refusal{expected: "a valid proxy setting", got: "an invalid one"}
	}
	return proxy, nil
}

func (t *transports) get(key transportKey) *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	if transport, found := t.made[key]; found {
		return transport
	}
	if key.tls != nil {
		t.forget()
	}
	transport := t.build(key)
	t.made[key] = transport
	return transport
}

// forget drops the connections of settings that the file no longer holds.
func (t *transports) forget() {
	table := t.options.Hosts.current()
	for key, transport := range t.made {
		if key.tls != nil && !table.has(key.tls) {
			delete(t.made, key)
			transport.CloseIdleConnections()
		}
	}
}

func (t *transports) build(key transportKey) *http.Transport {
	o := t.options
	dialer := &net.Dialer{Timeout: o.ConnectTimeout, Resolver: o.Resolver}
	if !key.proxied {
		dialer.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			return checkDialled(address, key.rule, o.ServiceNetworks)
		}
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs, InsecureSkipVerify: key.unverified} //nolint:gosec // only for hosts that the operator names insecure
	if key.tls != nil {
		if key.named {
			config.Certificates = key.tls.certificates
		}
		if key.tls.roots != nil {
			config.RootCAs = key.tls.roots
		}
	}
	transport := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    o.ConnectTimeout,
		ResponseHeaderTimeout:  o.RequestTimeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderBytes,
		MaxIdleConns:           4 * o.PerHost,
		MaxIdleConnsPerHost:    o.PerHost,
		IdleConnTimeout:        time.Minute,
	}
	if key.proxied {
		transport.Proxy = func(req *http.Request) (*url.URL, error) {
			proxy, err := t.proxyFor(req.URL)
			if err == nil && proxy == nil {
				return nil, errors.New("expected the same proxy setting as before") // else the dial would go unchecked
			}
			return proxy, err
		}
	}
	return transport
}

// checkDialled judges the address that is about to be dialled, after every
// name look-up (TRUST R8).
func checkDialled(address string, rule addressRule, services []netip.Prefix) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return &refusal{expected: "an IP address to dial", got: clip(address)}
	}
	return checkAddress(to.Addr(), rule, services)
}

func (t *transports) closeIdle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, transport := range t.made {
		transport.CloseIdleConnections()
	}
}
