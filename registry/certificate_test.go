package registry_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/registry"
)

func newCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tunnel is a proxy that leads to a server whatever it is asked for.
func tunnel(t *testing.T, to *fake) (*fake, func(*url.URL) (*url.URL, error)) {
	t.Helper()
	f := startPlain(t, func(w http.ResponseWriter, r *http.Request) {
		server, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", to.host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		client, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			_, _ = io.Copy(client, server)
			_ = client.Close()
		}()
		_, _ = io.Copy(server, bufio.NewReader(buffered))
		_ = server.Close()
	})
	return f, func(*url.URL) (*url.URL, error) { return f.url(t), nil }
}

// certified is a file of registries in which hosts are shown client certificates.
func certified(t *testing.T, certificates map[string]tls.Certificate) *registry.Hosts {
	t.Helper()
	folder := t.TempDir()
	var entries []string
	for host, pair := range certificates {
		i := len(entries)
		write(t, folder, fmt.Sprintf("%d.pem", i), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})))
		write(t, folder, fmt.Sprintf("%d.key", i), keyPEM(t, pair.PrivateKey))
		entries = append(entries, fmt.Sprintf("{host: '%s', clientCertificateFile: %d.pem, clientKeyFile: %d.key}", host, i, i))
	}
	hosts, err := registry.ReadHosts(write(t, folder, "registries.yaml", "registries: ["+strings.Join(entries, ", ")+"]"), time.Now, nil)
	if err != nil {
		t.Fatal(err)
	}
	return hosts
}

// A registry names the token realm and where it redirects to. With a certificate
// that is for another host it could have a token fetched there under our name, and
// be sent it.
func TestR6ClientCertificateIsNotShownForAnotherRegistry(t *testing.T) {
	one, two := newCertificate(t), newCertificate(t)
	cases := map[string]struct {
		reason string
		known  []tls.Certificate // that the registry is shown
		want   int32
	}{
		"Stranger": {"the registry is nothing to the realm", nil, 0},
		"Other":    {"it is shown another certificate", []tls.Certificate{two}, 0},
		"Same":     {"it is shown the same one", []tls.Certificate{one}, 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var shown, realmAsked, storageAsked atomic.Int32
			realm := startTLSAskingForCertificates(t, func(w http.ResponseWriter, r *http.Request) {
				shown.Store(int32(len(r.TLS.PeerCertificates)))
				if r.URL.Path == "/token" {
					realmAsked.Add(1)
					giveToken(w, r)
					return
				}
				storageAsked.Add(1)
				serve(imageType, manifestJSON("x"))(w, r)
			})
			at := startTLSAskingForCertificates(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.Contains(r.URL.Path, "redirected"):
					http.Redirect(w, r, realm.server.URL+"/v2/secret/manifests/1", http.StatusTemporaryRedirect)
				case r.Header.Get("Authorization") == "":
					w.Header().Set("Www-Authenticate", `Bearer realm="`+realm.server.URL+`/token",scope="repository:secret:pull"`)
					w.WriteHeader(http.StatusUnauthorized)
				default:
					serve(imageType, manifestJSON("x"))(w, r)
				}
			})
			certificates := map[string]tls.Certificate{realm.host: one}
			for _, known := range tc.known {
				certificates[at.host] = known
			}
			c := clientFor(t, func(o *registry.Options) { o.Hosts = certified(t, certificates) }, realm, at)
			if _, err := pull(t, c, at.ref(t, "acme/app:v1")); err != nil {
				t.Fatal(err)
			}
			if realmAsked.Load() != 1 || shown.Load() != tc.want {
				t.Errorf("%s: want %d certificates at the realm, got %d", tc.reason, tc.want, shown.Load())
			}
			shown.Store(-1)
			if _, err := pull(t, c, at.ref(t, "acme/redirected:v1")); err != nil {
				t.Fatal(err)
			}
			if storageAsked.Load() != 1 || shown.Load() != tc.want {
				t.Errorf("%s: want %d certificates behind a redirect, got %d", tc.reason, tc.want, shown.Load())
			}
			if _, err := pull(t, c, realm.ref(t, "acme/app:v1")); err != nil || shown.Load() != 1 {
				t.Errorf("want the certificate shown to the host that it is for, got %d and %v", shown.Load(), err)
			}
		})
	}
}

// The services that a certificate names are strangers even where the operator knows
// their host.
func TestR6RevocationServiceIsShownNoCertificate(t *testing.T) {
	var shown atomic.Int32
	f := startTLSAskingForCertificates(t, func(_ http.ResponseWriter, r *http.Request) { shown.Store(int32(len(r.TLS.PeerCertificates))) })
	_, through := tunnel(t, f)
	const host = "example.com" // in the server's certificate
	c := clientFor(t, func(o *registry.Options) {
		o.Hosts, o.Proxy = certified(t, map[string]tls.Certificate{host: newCertificate(t)}), through
	}, f)
	for name, tc := range map[string]struct {
		by   http.RoundTripper
		want int32
	}{"Stranger": {c.Elsewhere(), 0}, "NamedByAPolicy": {c.Mirrors(), 1}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tc.by.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if shown.Load() != tc.want {
			t.Errorf("%s: want %d certificates, got %d", name, tc.want, shown.Load())
		}
	}
}

// A host that is not in ASCII is looked up as what it is mapped to. Behind a proxy
// nobody checks the address that comes out.
func TestR8HostsThatAreMappedToOthersAreRefused(t *testing.T) {
	target := startTLS(t, serve(imageType, manifestJSON("x")))
	for name, host := range map[string]string{
		"FullWidthDigits":  "１６９.２５４.１６９.２５４",
		"IdeographicStops": "169。254。169。254",
		"CircledLetters":   "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
		"KelvinSign":       "\u212aubernetes.default.svc",
		"Punycoded":        "bücher.example",
		"BrokenUTF8":       "%ff.example",
	} {
		t.Run(name, func(t *testing.T) {
			at := "redirect"
			f := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
				if at == "redirect" {
					w.Header().Set("Location", "https://"+host+"/v2/x")
					w.WriteHeader(http.StatusTemporaryRedirect)
					return
				}
				w.Header().Set("Www-Authenticate", `Bearer realm="https://`+host+`/token"`)
				w.WriteHeader(http.StatusUnauthorized)
			})
			proxy, through := tunnel(t, target)
			c := clientFor(t, func(o *registry.Options) {
				o.Proxy = func(u *url.URL) (*url.URL, error) {
					if u.Host == f.host {
						return nil, nil // as NO_PROXY does
					}
					return through(u)
				}
			}, f)
			for _, at = range []string{"redirect", "realm"} {
				_, err := pull(t, c, f.ref(t, "acme/app:1"))
				wantReason(t, err, evidence.RegistryRefused)
			}
			if n := proxy.conns(); n != 0 {
				t.Errorf("want the proxy asked for nothing, got %q", proxy.lines())
			}
		})
	}
}

// An address is one host however it is written.
func TestR11HostsOfTheOperatorInOtherSpellings(t *testing.T) {
	cases := map[string]struct {
		operator, image string
		want            bool
	}{
		"Case":              {"Reg.Example:5000", "reg.example:5000", true},
		"DefaultPort":       {"reg.example:443", "reg.example", true},
		"TrailingDot":       {"reg.example.", "reg.example", true},
		"LongAddress":       {"[2001:DB8:0:0::1]:5000", "[2001:db8::1]:5000", true},
		"LongAddressNoPort": {"[2001:DB8:0:0::1]", "[2001:db8::1]", true},
		"MappedAddress":     {"[::ffff:192.0.2.1]:5000", "192.0.2.1:5000", true},
		"MappedOtherWay":    {"192.0.2.1:5000", "[::ffff:c000:201]:5000", true},
		"DockerHub":         {"index.docker.io", "docker.io", true},
		"DockerHubsOther":   {"docker.io", "registry-1.docker.io", true},
		"OtherPort":         {"reg.example:5000", "reg.example:5001", false},
		"OtherAddress":      {"[2001:db8::1]:5000", "[2001:db8::2]:5000", false},
		"Suffix":            {"reg.example", "evil-reg.example", false},
		"Prefix":            {"reg.example", "reg.example.evil.test", false},
		"DockerHubsPort":    {"docker.io", "docker.io:5000", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			repository := refOf(t, tc.image+"/acme/app").Repository()
			content := fmt.Sprintf("registries: [{host: '%s', allowed: true}]", tc.operator)
			for place, c := range map[string]*registry.Client{
				"option": clientFor(t, func(o *registry.Options) { o.AllowedHosts = []string{tc.operator} }),
				"file":   configured(t, content, nil),
			} {
				if got := c.Named(repository); got != tc.want {
					t.Errorf("by %s: want %t, got %t", place, tc.want, got)
				}
			}
		})
	}
}

// Settings that did not change keep their connections over readings of the files,
// and those of settings that are gone are closed.
func TestConnectionsFollowTheSettings(t *testing.T) {
	closed := make(chan struct{}, 10)
	f := start(t, serve(imageType, manifestJSON("x")), func(s *httptest.Server) {
		counted := s.Config.ConnState
		s.Config.ConnState = func(c net.Conn, state http.ConnState) {
			counted(c, state)
			if state == http.StateClosed {
				closed <- struct{}{}
			}
		}
		s.StartTLS()
	})
	folder := t.TempDir()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.server.Certificate().Raw}))
	write(t, folder, "ca.pem", ca)
	file := write(t, folder, "registries.yaml", "registries: [{host: '"+f.host+"', caFile: ca.pem, allowed: true}]")
	clock := newClock()
	hosts, err := registry.ReadHosts(file, clock.Now, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := clientFor(t, func(o *registry.Options) { o.Clock, o.Hosts = clock.Now, hosts })
	for range 3 {
		if _, err := pull(t, c, f.ref(t, "acme/app:1")); err != nil {
			t.Fatal(err)
		}
		clock.Advance(5 * time.Second)
	}
	if n := f.conns(); n != 1 {
		t.Errorf("want one connection over readings, got %d", n)
	}
	write(t, folder, "ca.pem", ca+"\n")
	if _, err := pull(t, c, f.ref(t, "acme/app:1")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-closed:
	case <-t.Context().Done():
	case <-time.After(10 * time.Second):
		t.Fatal("want the connection of the settings before closed")
	}
	clock.Advance(5 * time.Second)
	if _, err := pull(t, c, f.ref(t, "acme/app:1")); err != nil {
		t.Fatal(err)
	}
	if n := f.conns(); n != 2 || len(closed) != 0 {
		t.Errorf("want two connections in all and one closed, got %d and %d more closed", n, len(closed))
	}
}
