package registry_test

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/registry"
)

func TestR8Addresses(t *testing.T) {
	services := netip.MustParsePrefix("10.96.0.0/12")
	cases := map[string]struct {
		reason              string
		address             string
		asRealm, asRegistry bool // refused
	}{
		"Public":            {"an ordinary server", "140.82.121.33", false, false},
		"Public6":           {"an ordinary server", "2606:50c0:8000::153", false, false},
		"Private":           {"a corporate registry, but no realm", "10.1.2.3", true, false},
		"Private172":        {"likewise", "172.16.0.1", true, false},
		"Private192":        {"likewise", "192.168.1.1", true, false},
		"UniqueLocal":       {"likewise in IPv6", "fd12::1", true, false},
		"CarrierGradeNAT":   {"likewise (RFC 6598)", "100.64.0.1", true, false},
		"Documentation":     {"not routed", "203.0.113.1", true, false},
		"Loopback":          {"this machine", "127.0.0.1", true, true},
		"Loopback8":         {"all of 127/8", "127.99.0.1", true, true},
		"Loopback6":         {"this machine", "::1", true, true},
		"Mapped":            {"IPv4 in IPv6", "::ffff:127.0.0.1", true, true},
		"Compatible":        {"its deprecated form", "::127.0.0.1", true, true},
		"Translated":        {"SIIT", "::ffff:0:7f00:1", true, true},
		"NAT64":             {"127.0.0.1 through NAT64", "64:ff9b::7f00:1", true, true},
		"NAT64Metadata":     {"169.254.169.254 through NAT64", "64:ff9b::a9fe:a9fe", true, true},
		"NAT64Public":       {"a public one through NAT64", "64:ff9b::8c52:7921", false, false},
		"NAT64Local":        {"a prefix of local use", "64:ff9b:1::1", true, true},
		"SixToFour":         {"127.0.0.1 through 6to4", "2002:7f00:1::1", true, true},
		"Teredo":            {"hides an address", "2001:0:4136:e378:8000:63bf:3fff:fdd2", true, true},
		"Unspecified":       {"this machine, to most systems", "0.0.0.0", true, true},
		"ThisNetwork":       {"all of 0/8", "0.1.2.3", true, true},
		"Unspecified6":      {"this machine", "::", true, true},
		"LinkLocal":         {"the link", "169.254.1.1", true, true},
		"LinkLocal6":        {"the link", "fe80::1", true, true},
		"SiteLocal":         {"deprecated", "fec0::1", true, true},
		"Zone":              {"the link, with a zone", "fe80::1%lo", true, true},
		"Metadata":          {"most clouds", "169.254.169.254", true, true},
		"MetadataAWS6":      {"AWS", "fd00:ec2::254", true, true},
		"MetadataGoogle6":   {"Google", "fd20:ce::254", true, true},
		"MetadataAlibaba":   {"Alibaba", "100.100.100.200", true, true},
		"MetadataAzure":     {"Azure's wire server", "168.63.129.16", true, true},
		"MetadataOracle":    {"Oracle", "192.0.0.192", true, true},
		"Multicast":         {"many", "224.0.0.1", true, true},
		"Multicast6":        {"many", "ff02::1", true, true},
		"Broadcast":         {"all", "255.255.255.255", true, true},
		"Reserved":          {"240/4", "240.0.0.1", true, true},
		"ClusterService":    {"the operator's range", "10.96.0.1", true, true},
		"ClusterServiceMap": {"the same in IPv6", "::ffff:10.96.0.1", true, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			asRealm, asRegistry := registry.Refuses(tc.address, services)
			if asRealm != tc.asRealm || asRegistry != tc.asRegistry {
				t.Errorf("%s (%s): refused as realm, registry: want %t, %t, got %t, %t", tc.address, tc.reason, tc.asRealm, tc.asRegistry, asRealm, asRegistry)
			}
		})
	}
}

func TestR8Names(t *testing.T) {
	for name, refused := range map[string]bool{
		"ghcr.io": false, "registry.corp": false, "10.1.2.3": false, "a-1.example": false,
		"localhost": true, "LOCALHOST": true, "localhost.": true, "a.localhost": true,
		"registry.kube-system.svc": true, "registry.kube-system.svc.cluster.local": true, "x.cluster.local.": true,
		"metadata.google.internal": true, "127.1": true, "0x7f.1": true, "2130706433": true, "0x7f000001": true, "127.0.0.01": true,
	} {
		if got := registry.RefusesName(name); got != refused {
			t.Errorf("%q: want refused %t, got %t", name, refused, got)
		}
	}
}

// strict is a client to which no host is named.
func strict(t testing.TB, change func(*registry.Options), fakes ...*fake) *registry.Client {
	t.Helper()
	return clientFor(t, func(o *registry.Options) {
		o.AllowedHosts = nil
		if change != nil {
			change(o)
		}
	}, fakes...)
}

func refOf(t testing.TB, s string) imageref.Reference {
	t.Helper()
	ref, err := imageref.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestR8LoopbackRegistryIsRefused(t *testing.T) {
	f := startTLS(t, serve(imageType, manifestJSON("x")))
	port := f.url(t).Port()
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:7f00:1]"} {
		_, err := pull(t, strict(t, nil, f), refOf(t, host+":"+port+"/acme/app:1"))
		wantReason(t, err, evidence.RegistryRefused)
	}
	if f.conns() != 0 {
		t.Errorf("connections: want none, got %d", f.conns())
	}
}

// A name says nothing: the address that is dialled is checked.
func TestR8NameThatResolvesToLoopbackIsRefused(t *testing.T) {
	f := startTLS(t, serve(imageType, manifestJSON("x")))
	port := f.url(t).Port()
	resolver := resolverOf(t, map[string]netip.Addr{
		"registry.test.": netip.MustParseAddr("127.0.0.1"), "cloud.test.": netip.MustParseAddr("169.254.169.254"),
	})
	c := strict(t, func(o *registry.Options) { o.Resolver = resolver }, f)
	for _, host := range []string{"registry.test", "cloud.test"} {
		_, err := pull(t, c, refOf(t, host+":"+port+"/acme/app:1"))
		wantReason(t, err, evidence.RegistryRefused)
	}
	if f.conns() != 0 {
		t.Errorf("connections: want none, got %d", f.conns())
	}
	// The resolver does resolve: with the host named, the connection is made.
	named := strict(t, func(o *registry.Options) {
		o.Resolver, o.InsecureHosts = resolver, []string{"registry.test:" + port}
	}, f)
	if _, err := pull(t, named, refOf(t, "registry.test:"+port+"/acme/app:1")); err != nil {
		t.Errorf("named host: %v", err)
	}
}

func TestR8ClusterServiceIsRefused(t *testing.T) {
	f := startTLS(t, serve(imageType, manifestJSON("x")))
	c := strict(t, func(o *registry.Options) {
		o.ServiceNetworks = []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12")}
		o.Resolver = resolverOf(t, map[string]netip.Addr{"registry.test.": netip.MustParseAddr("10.96.0.1")})
	}, f)
	for _, host := range []string{"10.96.0.1", "registry.test", "registry.default.svc"} {
		_, err := pull(t, c, refOf(t, host+"/acme/app:1"))
		wantReason(t, err, evidence.RegistryRefused)
	}
}

func TestR8RedirectToLoopbackIsRefused(t *testing.T) {
	other := startTLS(t, serve(imageType, manifestJSON("x")))
	f := startTLS(t, redirect(to(other.server.URL)))
	for name, workstation := range map[string]bool{"Server": false, "Workstation": true} {
		t.Run(name, func(t *testing.T) {
			resolver := resolverOf(t, map[string]netip.Addr{"registry.test.": netip.MustParseAddr("127.0.0.1")})
			host := "registry.test:" + f.url(t).Port()
			c := strict(t, func(o *registry.Options) {
				o.Resolver, o.InsecureHosts, o.Workstation = resolver, []string{host}, workstation
			}, f, other)
			_, err := pull(t, c, refOf(t, host+"/acme/app:1"))
			wantReason(t, err, evidence.RegistryRefused)
		})
	}
	if other.conns() != 0 {
		t.Errorf("connections: want none, got %d", other.conns())
	}
}

// A connection that was allowed for one purpose is not used for another.
func TestR8PooledConnectionDoesNotOpenARealm(t *testing.T) {
	other := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			giveToken(w, r)
			return
		}
		serve(imageType, manifestJSON("x"))(w, r)
	})
	f := startTLS(t, tokenRegistry(func() string { return other.server.URL + "/token" }))
	c := strict(t, func(o *registry.Options) { o.Workstation = true }, f, other)
	if _, err := pull(t, c, other.ref(t, "acme/app:1")); err != nil {
		t.Fatal(err) // a connection to other is open now
	}
	_, err := pull(t, c, f.ref(t, "acme/app:1"))
	wantReason(t, err, evidence.RegistryRefused)
}

// proxyTo is a forward proxy for plain HTTP that answers by itself.
func proxyTo(t testing.TB) (*fake, func(*url.URL) (*url.URL, error)) {
	t.Helper()
	f := startPlain(t, serve(imageType, manifestJSON("from the proxy")))
	return f, func(*url.URL) (*url.URL, error) { return f.url(t), nil }
}

func TestR8ProxyOnLoopbackIsAllowedLiteralsAreNot(t *testing.T) {
	proxy, through := proxyTo(t)
	c := strict(t, func(o *registry.Options) { o.Proxy = through })
	for _, host := range []string{"127.0.0.1:5000", "169.254.169.254", "[::ffff:7f00:1]:5000", "localhost:5000", "registry.default.svc:5000"} {
		_, err := pull(t, c, refOf(t, host+"/acme/app:1"))
		wantReason(t, err, evidence.RegistryRefused)
	}
	if proxy.conns() != 0 {
		t.Errorf("connections to the proxy: want none, got %d", proxy.conns())
	}
	_, err := pull(t, c, imageref.MustParse("registry.example/acme/app:1"))
	wantReason(t, err, evidence.RegistryTLS) // this proxy answers by itself
	if len(proxy.requests) != 1 || proxy.requests[0].Method != http.MethodConnect || proxy.requests[0].Host != "registry.example:443" {
		t.Errorf("an ordinary host: want CONNECT to it, got %q", proxy.lines())
	}
}

// The proxy's address is free to dial as a proxy only.
func TestR8ProxyAddressAsRegistryIsRefused(t *testing.T) {
	proxy := startPlain(t, serve(imageType, manifestJSON("x")))
	c := strict(t, func(o *registry.Options) {
		o.Proxy = func(u *url.URL) (*url.URL, error) {
			if u.Hostname() == "127.0.0.1" {
				return nil, nil // as NO_PROXY does
			}
			return proxy.url(t), nil
		}
	})
	_, err := pull(t, c, proxy.ref(t, "acme/app:1"))
	wantReason(t, err, evidence.RegistryRefused)
	if proxy.conns() != 0 {
		t.Errorf("connections: want none, got %d", proxy.conns())
	}
}

func TestR8ProxyDoesNotCarryLoopback(t *testing.T) {
	proxy, through := proxyTo(t)
	c := strict(t, func(o *registry.Options) { o.Proxy, o.Workstation = through, true })
	_, err := pull(t, c, refOf(t, "localhost:5000/acme/app:1"))
	wantReason(t, err, evidence.RegistryRefused)
	if proxy.conns() != 0 {
		t.Errorf("connections to the proxy: want none, got %d", proxy.conns())
	}
}

func TestR7UnverifiedTLSIsRefused(t *testing.T) {
	f := startTLS(t, serve(imageType, manifestJSON("x")))
	c := clientFor(t, func(o *registry.Options) { o.RootCAs = x509.NewCertPool() }, f)
	_, err := pull(t, c, f.ref(t, "acme/app:1"))
	wantReason(t, err, evidence.RegistryTLS)
	if n := len(f.lines()); n != 0 {
		t.Errorf("requests: want none, got %d", n)
	}
}

func TestR7OtherNameInCertificateIsRefused(t *testing.T) {
	f := startTLS(t, serve(imageType, manifestJSON("x")))
	host := "registry.test:" + f.url(t).Port()
	c := clientFor(t, func(o *registry.Options) {
		o.AllowedHosts = []string{host}
		o.Resolver = resolverOf(t, map[string]netip.Addr{"registry.test.": netip.MustParseAddr("127.0.0.1")})
	}, f)
	_, err := pull(t, c, refOf(t, host+"/acme/app:1"))
	wantReason(t, err, evidence.RegistryTLS)
}

func TestR7PlainHTTPIsRefusedEvenForAllowedHosts(t *testing.T) {
	f := startPlain(t, serve(imageType, manifestJSON("x")))
	_, err := pull(t, clientFor(t, nil, f), f.ref(t, "acme/app:1"))
	wantReason(t, err, evidence.RegistryTLS)
	if n := len(f.lines()); n != 0 {
		t.Errorf("requests: want none, got %d", n)
	}
}

func TestR7InsecureHostSpeaksWhatItSpeaks(t *testing.T) {
	for name, f := range map[string]*fake{
		"PlainHTTP":     startPlain(t, serve(imageType, manifestJSON("x"))),
		"UnverifiedTLS": startTLS(t, serve(imageType, manifestJSON("x"))),
	} {
		t.Run(name, func(t *testing.T) {
			c := strict(t, func(o *registry.Options) {
				o.InsecureHosts, o.RootCAs = []string{f.host}, x509.NewCertPool()
			})
			for range 3 {
				if _, err := pull(t, c, f.ref(t, "acme/app:1")); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(f.lines()); n != 3 {
				t.Errorf("requests: want 3, got %d", n)
			}
			if f.conns() > 2 { // one to find out what it speaks
				t.Errorf("connections: want at most 2, got %d", f.conns())
			}
		})
	}
}

func TestR7WorkstationSpeaksPlainHTTPToLoopbackAlone(t *testing.T) {
	f := startPlain(t, serve(imageType, manifestJSON("x")))
	port := f.url(t).Port()
	c := strict(t, func(o *registry.Options) {
		o.Workstation = true
		o.Resolver = resolverOf(t, map[string]netip.Addr{
			"registry.test.": netip.MustParseAddr("127.0.0.1"), "fake.localhost.": netip.MustParseAddr("10.255.255.1"),
		})
	})
	if _, err := pull(t, c, f.ref(t, "acme/app:1")); err != nil {
		t.Errorf("loopback address: %v", err)
	}
	_, err := pull(t, c, refOf(t, "registry.test:"+port+"/acme/app:1"))
	wantReason(t, err, evidence.RegistryTLS) // the name is not loopback's
	_, err = pull(t, c, refOf(t, "fake.localhost:"+port+"/acme/app:1"))
	wantReason(t, err, evidence.RegistryRefused) // the address is not
}

// TLS that fails to verify is not a reason to try plain HTTP.
func TestR7NoDowngradeOnBadCertificate(t *testing.T) {
	f := startTLS(t, serve(imageType, manifestJSON("x")))
	c := strict(t, func(o *registry.Options) { o.Workstation, o.RootCAs = true, x509.NewCertPool() })
	_, err := pull(t, c, f.ref(t, "acme/app:1"))
	wantReason(t, err, evidence.RegistryTLS)
}

func TestR10SlowHostKeepsItsOwnCallersWaiting(t *testing.T) {
	slow := startTLS(t, silent)
	fast := startTLS(t, serve(imageType, manifestJSON("x")))
	c := clientFor(t, func(o *registry.Options) { o.PerHost, o.RequestTimeout = 1, 300*time.Millisecond }, slow, fast)
	waiting := make(chan error, 4)
	for range cap(waiting) {
		src, ref := sourceFor(t, c, slow.ref(t, "acme/app").Repository()), slow.ref(t, "acme/app:1")
		go func() { _, err := src.Manifest(t.Context(), ref); waiting <- err }()
	}
	for range 10 {
		if _, err := pull(t, c, fast.ref(t, "acme/app:1")); err != nil {
			t.Errorf("the other host: %v", err)
		}
	}
	for range cap(waiting) {
		wantReason(t, <-waiting, evidence.RegistryTimeout)
	}
}

func TestR10CircuitBreaker(t *testing.T) {
	var dead atomic.Bool
	dead.Store(true)
	f := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		if dead.Load() {
			raw("")(w, r)
			return
		}
		serve(imageType, manifestJSON("x"))(w, r)
	})
	clock := newClock()
	c := clientFor(t, func(o *registry.Options) {
		o.Clock, o.BreakerFailures, o.BreakerPause = clock.Now, 3, 10*time.Second
	}, f)
	ask := func() error {
		_, err := pull(t, c, f.ref(t, "acme/app:1"))
		return err
	}
	requests := func(when string, want int) {
		t.Helper()
		if n := len(f.lines()); n != want {
			t.Errorf("%s: requests: want %d, got %d", when, want, n)
		}
	}
	for range 5 {
		wantReason(t, ask(), evidence.RegistryUnreachable)
	}
	requests("after three failures it is open", 3)

	clock.Advance(11 * time.Second)
	for range 2 {
		wantReason(t, ask(), evidence.RegistryUnreachable)
	}
	requests("one failed probe opens it again", 4)

	dead.Store(false)
	clock.Advance(11 * time.Second)
	for range 2 {
		if err := ask(); err != nil {
			t.Errorf("after a good probe it is closed: %v", err)
		}
	}
	requests("after a good probe it is closed", 6)
}

// Clear answers are no failures, nor is a caller's impatience.
func TestR10BreakerCountsConnectionsOnly(t *testing.T) {
	f := startTLS(t, status(500))
	c := clientFor(t, func(o *registry.Options) { o.BreakerFailures = 2 }, f)
	for range 5 {
		_, err := pull(t, c, f.ref(t, "acme/app:1"))
		wantReason(t, err, evidence.RegistryUnavailable)
	}
	if n := len(f.lines()); n != 5 {
		t.Errorf("requests: want 5, got %d", n)
	}
}

// A host that is so slow that its callers give up is left alone as well, but
// not for callers that never waited.
func TestR10BreakerCountsSlowHosts(t *testing.T) {
	for name, tc := range map[string]struct {
		took     time.Duration
		requests int
	}{"Slow": {3 * time.Second, 2}, "Impatient": {100 * time.Millisecond, 4}} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			f := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
				clock.Advance(tc.took)
				silent(w, r)
			})
			c := clientFor(t, func(o *registry.Options) { o.Clock, o.BreakerFailures = clock.Now, 2 }, f)
			ref := f.ref(t, "acme/app:1")
			src := sourceFor(t, c, ref.Repository())
			for range 4 {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				_, err := src.Manifest(ctx, ref)
				cancel()
				if err == nil {
					t.Fatal("want an error, got none")
				}
			}
			if n := len(f.lines()); n != tc.requests {
				t.Errorf("requests: want %d, got %d", tc.requests, n)
			}
		})
	}
}

func TestR41NamedHosts(t *testing.T) {
	c := strict(t, func(o *registry.Options) {
		o.AllowedHosts, o.InsecureHosts = []string{"Registry.Corp", "docker.io"}, []string{"dev.corp:5000"}
	})
	for image, want := range map[string]bool{
		"registry.corp/a": true, "registry.corp:443/a": true, "nginx": true, "dev.corp:5000/a": true,
		"dev.corp/a": false, "registry.corp:5000/a": false, "registry.corp.example/a": false, "ghcr.io/a": false,
	} {
		if got := c.Named(refOf(t, image).Repository()); got != want {
			t.Errorf("%s: want named %t, got %t", image, want, got)
		}
	}
	if c.Named(imageref.Repository{}) {
		t.Error("no repository: want it not named")
	}
}
