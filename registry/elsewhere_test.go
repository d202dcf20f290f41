package registry_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/registry"
)

// What a certificate names is a stranger: no address of this machine or of the
// cluster's services is dialled for it, by number or by name.
func TestR8ServicesOfCertificatesAreNotLocal(t *testing.T) {
	asked := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.Host }))
	t.Cleanup(server.Close)
	client, err := registry.New(registry.Options{
		Clock: time.Now, Workstation: true, ServiceNetworks: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12")},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	port := server.URL[len("http://127.0.0.1"):]
	for _, url := range []string{
		server.URL, "http://localhost" + port, "http://[::ffff:127.0.0.1]" + port, "http://169.254.169.254/crl",
		"http://10.96.0.1/crl", "http://ocsp.kube-system.svc/", "http://metadata.google.internal/",
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Elsewhere().RoundTrip(request)
		if err == nil {
			response.Body.Close()
			t.Errorf("%s: want it refused, got %s", url, response.Status)
		}
	}
	if len(asked) > 0 {
		t.Errorf("want nobody asked, got %d requests", len(asked))
	}
}

// A mirror that a policy names is where the operator says, or no stranger's
// address either.
func TestR8MirrorsAreWhereTheOperatorSays(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	t.Cleanup(server.Close)
	host := server.Listener.Addr().String()
	cases := map[string]struct {
		reason  string
		options registry.Options
		url     string
		reached bool
	}{
		"NotNamed":       {reason: "a policy does not open this machine", url: server.URL},
		"Named":          {reason: "the operator may", options: registry.Options{InsecureHosts: []string{host}}, url: server.URL, reached: true},
		"R7PlainHTTP":    {reason: "allowed to be local is not allowed without TLS", options: registry.Options{AllowedHosts: []string{host}}, url: server.URL},
		"R6Credentials":  {reason: "a URL carries none", options: registry.Options{InsecureHosts: []string{host}}, url: "http://user:password@" + host},
		"R8MetadataHost": {reason: "nor the cloud's metadata", url: "https://169.254.169.254/"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.options.Clock = time.Now
			client, err := registry.New(tc.options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tc.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Mirrors().RoundTrip(request)
			if err == nil {
				response.Body.Close()
			}
			if reached := err == nil && response.StatusCode == http.StatusTeapot; reached != tc.reached {
				t.Errorf("%s: want reached %t, got %t (%v)", tc.reason, tc.reached, reached, err)
			}
		})
	}
}

// TestR8RevocationServiceBehindAProxy: a proxy resolves names by itself, and some
// map letters of other alphabets to ASCII before.
func TestR8RevocationServiceBehindAProxy(t *testing.T) {
	var asked atomic.Pointer[string]
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked.Store(new(r.Method + " " + r.Host)) }))
	t.Cleanup(proxy.Close)
	address, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	client, err := registry.New(registry.Options{Clock: time.Now, Proxy: func(*url.URL) (*url.URL, error) { return address, nil }})
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "\uff4cocalhost", "\uff4detadata.google.internal", "registry.default.\uff53vc", "127\u30020\u30020\u30021", "%EF%BD%8Docalhost"} {
		for _, scheme := range []string{"http", "https"} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+host+"/ocsp", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Elsewhere().RoundTrip(request)
			if err == nil {
				response.Body.Close()
			}
			if got := asked.Swap(nil); err == nil || got != nil {
				t.Errorf("%s %s: want it refused and the proxy left alone, got %v, asked %v", scheme, host, err, got)
			}
		}
	}
}
