package server_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/internal/server"
)

func TestServeSpeaksHTTP2AndHTTP1(t *testing.T) {
	r := start(t, each(allow))
	response := r.post(t, validateDoor+"?timeout=10s", recorded(t, "pod-create"))
	if response.ProtoMajor != 2 || response.TLS.Version != tls.VersionTLS13 {
		t.Errorf("want HTTP/2 over TLS 1.3, got %s over %s", response.Proto, tls.VersionName(response.TLS.Version))
	}
	wantAllowed(t, read(t, response))
	one := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.roots, MaxVersion: tls.VersionTLS12}}}
	defer one.CloseIdleConnections()
	response, err := one.Post(r.doors+validateDoor, "application/json", bytes.NewReader(recorded(t, "pod-create")))
	if err != nil {
		t.Fatal(err)
	}
	if response.ProtoMajor != 1 {
		t.Errorf("want HTTP/1.1, got %s", response.Proto)
	}
	wantAllowed(t, read(t, response))
	old := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.roots, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}}}
	if response, err := old.Get(r.doors + validateDoor); err == nil {
		response.Body.Close()
		t.Error("want TLS 1.1 refused")
	}
	if code, _ := r.get(t, validateDoor); code != http.StatusNotFound {
		t.Errorf("want no door at the status port, got %d", code)
	}
}

func TestServeConcurrently(t *testing.T) {
	var asked atomic.Int64
	r := start(t, each(func(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
		asked.Add(1)
		if r.User == "mallory" {
			return deny(r, d)
		}
		return allow(r, d)
	}))
	bodies := map[bool][]byte{true: recorded(t, "pod-create"), false: recorded(t, "pod-create", set("userInfo", map[string]any{"username": "mallory"}))}
	var clients sync.WaitGroup
	for i := range 64 {
		clients.Go(func() {
			good := i%2 == 0
			response, err := r.client.Post(r.doors+validateDoor, "application/json", bytes.NewReader(bodies[good]))
			if err != nil {
				t.Errorf("post: %v", err)
				return
			}
			defer response.Body.Close()
			raw, err := io.ReadAll(response.Body)
			if err != nil || strings.Contains(string(raw), `"allowed":true`) != good {
				t.Errorf("want allowed=%t, got %s, %v", good, raw, err)
			}
		})
	}
	clients.Wait()
	if asked.Load() != 64*3 {
		t.Errorf("want %d images decided, got %d", 64*3, asked.Load())
	}
}

func TestServeDrains(t *testing.T) {
	deciding, release := make(chan struct{}), make(chan struct{})
	r := start(t, server.DeciderFunc(func(ctx context.Context, q engine.Request) engine.Decision {
		close(deciding)
		<-release
		return each(allow)(ctx, q)
	}))
	if code, _ := r.get(t, "/readyz"); code != http.StatusOK {
		t.Fatalf("want it ready, got %d", code)
	}
	var answered sync.WaitGroup
	answered.Go(func() {
		response, err := r.client.Post(r.doors+validateDoor, "application/json", bytes.NewReader(recorded(t, "pod-create")))
		if err != nil {
			t.Errorf("post: %v", err)
			return
		}
		defer response.Body.Close()
		if raw, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(raw), `"allowed":true`) {
			t.Errorf("want allowed, got %s, %v", raw, err)
		}
	})
	<-deciding
	r.stop()
	for code := 0; code != http.StatusServiceUnavailable; {
		code, _ = r.get(t, "/readyz")
	}
	select {
	case err := <-r.done:
		t.Fatalf("want it to wait for the request under way, got %v", err)
	default:
	}
	close(release)
	answered.Wait()
	if err := <-r.done; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if response, err := r.dial(t).Get(r.doors + validateDoor); err == nil {
		response.Body.Close()
		t.Error("want the doors closed")
	}
}

func TestServeCutsOffWhatDoesNotEnd(t *testing.T) {
	deciding, release := make(chan struct{}), make(chan struct{})
	r := start(t, server.DeciderFunc(func(context.Context, engine.Request) engine.Decision {
		close(deciding)
		<-release
		return engine.Decision{}
	}), func(o *server.Options) { o.DrainTimeout, o.ShutdownDelay = 50*time.Millisecond, time.Millisecond })
	defer close(release)
	go func() {
		if response, err := r.client.Post(r.doors+validateDoor, "application/json", bytes.NewReader(recorded(t, "pod-create"))); err == nil {
			response.Body.Close()
		}
	}()
	<-deciding
	r.stop()
	if err := <-r.done; err == nil {
		t.Error("want an error that says that requests were cut off")
	}
}

func TestServeReportsListenerThatFails(t *testing.T) {
	s := newServer(t, never(t))
	doors, status := listen(t), listen(t)
	doors.Close()
	if err := s.Serve(t.Context(), doors, status); err == nil || !strings.Contains(err.Error(), "serve doors") {
		t.Errorf("want an error about the doors, got %v", err)
	}
}

func TestSlowBodyIsCutOff(t *testing.T) {
	r := start(t, never(t), func(o *server.Options) { o.ReadTimeout = 100 * time.Millisecond })
	for _, client := range []*http.Client{r.client, {Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.roots}}}} {
		stuck, writer := io.Pipe()
		go fmt.Fprint(writer, `{"apiVersion":`)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.doors+validateDoor, stuck)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		if response, err := client.Do(request); err == nil {
			if response.StatusCode < 400 {
				t.Errorf("want a refusal, got %d", response.StatusCode)
			}
			response.Body.Close()
		}
		writer.CloseWithError(io.ErrUnexpectedEOF)
		client.CloseIdleConnections()
	}
}

// authority issues client certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, certificate := issue(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	return authority{certificate, key}
}

func (a authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.certificate)
	return p
}

func (a authority) client(t *testing.T, life time.Duration, usage x509.ExtKeyUsage) tls.Certificate {
	t.Helper()
	key, certificate := issue(t, &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{usage}, NotAfter: time.Now().Add(life)}, &a)
	return tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}
}

func issue(t *testing.T, template *x509.Certificate, by *authority) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.NotBefore = big.NewInt(1), time.Now().Add(-48*time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	if by == nil {
		by = &authority{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, certificate
}

func TestAdmissionClients(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	var pool atomic.Pointer[x509.CertPool]
	pool.Store(ours.pool())
	r := start(t, each(allow), func(o *server.Options) { o.AdmissionClients = pool.Load })
	body := recorded(t, "pod-create")
	status := func(client *http.Client) int {
		response, err := client.Post(r.doors+validateDoor, "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode
	}
	good := r.dial(t, ours.client(t, time.Hour, x509.ExtKeyUsageClientAuth))
	for name, tc := range map[string]struct {
		client *http.Client
		want   int
	}{
		"Good":           {good, http.StatusOK},
		"None":           {r.client, http.StatusUnauthorized},
		"OtherAuthority": {r.dial(t, theirs.client(t, time.Hour, x509.ExtKeyUsageClientAuth)), http.StatusUnauthorized},
		"Ended":          {r.dial(t, ours.client(t, -time.Hour, x509.ExtKeyUsageClientAuth)), http.StatusUnauthorized},
		"ForServers":     {r.dial(t, ours.client(t, time.Hour, x509.ExtKeyUsageServerAuth)), http.StatusUnauthorized},
	} {
		for range 2 { // the second over what is remembered
			if got := status(tc.client); got != tc.want {
				t.Errorf("%s: want %d, got %d", name, tc.want, got)
			}
		}
	}
	pool.Store(theirs.pool())
	if got := status(good); got != http.StatusUnauthorized {
		t.Errorf("want a certificate of an authority that was dropped refused on an open connection, got %d", got)
	}
	pool.Store(nil)
	if got := status(good); got != http.StatusUnauthorized {
		t.Errorf("want everybody refused without authorities, got %d", got)
	}
	if code, _ := r.get(t, "/healthz"); code != http.StatusOK {
		t.Errorf("want health without a certificate, got %d", code)
	}
}

// TestAdmissionClientEndsWhileConnected has the clock pass the end of a
// certificate that was verified before.
func TestAdmissionClientEndsWhileConnected(t *testing.T) {
	ours := newAuthority(t)
	roots := ours.pool()
	var ahead atomic.Int64
	r := start(t, each(allow), func(o *server.Options) {
		o.AdmissionClients = func() *x509.CertPool { return roots }
		o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	r.client = r.dial(t, ours.client(t, 30*time.Minute, x509.ExtKeyUsageClientAuth))
	for _, want := range []int{http.StatusOK, http.StatusUnauthorized} {
		response := r.post(t, validateDoor, recorded(t, "pod-create"))
		response.Body.Close()
		if got := response.StatusCode; got != want {
			t.Errorf("want %d, got %d", want, got)
		}
		ahead.Store(int64(40 * time.Minute))
	}
}

func TestCertificateFiles(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	write := func(host string) []byte {
		t.Helper()
		c, _, err := server.SelfSigned([]string{host}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key}} {
			if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return c.Certificate[0]
	}
	now := time.Now()
	var failures []error
	if _, err := server.CertificateFiles(certFile, keyFile, time.Now, nil); err == nil {
		t.Error("want an error for files that are not there")
	}
	first := write("one.example")
	f, err := server.CertificateFiles(certFile, keyFile, func() time.Time { return now }, func(err error) { failures = append(failures, err) })
	if err != nil {
		t.Fatal(err)
	}
	want := func(reason string, der []byte) {
		t.Helper()
		c, err := f.Get(nil)
		if err != nil || !bytes.Equal(c.Certificate[0], der) {
			t.Errorf("%s: got another certificate, %v", reason, err)
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil || !f.NotAfter().Equal(leaf.NotAfter) {
			t.Errorf("%s: want the end %v, got %v, %v", reason, leaf.NotAfter, f.NotAfter(), err)
		}
	}
	second := write("two.example")
	want("not looked at yet", first)
	now = now.Add(5 * time.Second)
	want("the files have changed", second)
	if err := os.WriteFile(keyFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(5 * time.Second)
	want("the last good one stays", second)
	if len(failures) != 1 {
		t.Errorf("want the failure told once, got %v", failures)
	}
	third := write("three.example")
	now = now.Add(5 * time.Second)
	want("good again", third)
}

func TestSelfSigned(t *testing.T) {
	now := time.Now()
	c, ca, err := server.SelfSigned([]string{"bonafide.bonafide-system.svc", "10.0.0.1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("want a CA in PEM")
	}
	for host, good := range map[string]bool{"bonafide.bonafide-system.svc": true, "10.0.0.1": true, "other.svc": false} {
		_, err := c.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: now})
		if (err == nil) != good {
			t.Errorf("%s: want verified=%t, got %v", host, good, err)
		}
	}
	if _, _, err := server.SelfSigned(nil, now); err == nil {
		t.Error("want an error without hosts")
	}
}
