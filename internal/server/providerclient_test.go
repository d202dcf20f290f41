package server_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/internal/server"
)

// TestR45ClientCertificates limits the external data paths, and only those.
func TestR45ClientCertificates(t *testing.T) {
	ours, theirs, admission := newAuthority(t), newAuthority(t), newAuthority(t)
	var pool atomic.Pointer[x509.CertPool]
	pool.Store(ours.pool())
	r := start(t, each(byTag), func(o *server.Options) {
		o.GatekeeperClients, o.AdmissionClients = pool.Load, admission.pool
	})
	good := r.dial(t, ours.client(t, time.Hour, x509.ExtKeyUsageClientAuth))
	asks := func(client *http.Client, path string) (int, providerAnswer) {
		t.Helper()
		response, err := client.Post(r.doors+path, "application/json", bytes.NewReader(keys(t, "a:allowed")))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, parsed(t, body)
	}
	clients := map[string]*http.Client{
		"None":           r.client,
		"OtherAuthority": r.dial(t, theirs.client(t, time.Hour, x509.ExtKeyUsageClientAuth)),
		"Admission":      r.dial(t, admission.client(t, time.Hour, x509.ExtKeyUsageClientAuth)),
		"Ended":          r.dial(t, ours.client(t, -time.Hour, x509.ExtKeyUsageClientAuth)),
		"ForServers":     r.dial(t, ours.client(t, time.Hour, x509.ExtKeyUsageServerAuth)),
	}
	for _, path := range providerPaths() {
		for name, client := range clients {
			status, a := asks(client, path)
			if status != http.StatusUnauthorized {
				t.Errorf("%s%s: want 401, got %d", name, path, status)
			}
			wantSystemError(t, a, "expected a client certificate")
		}
		if status, a := asks(good, path); status != http.StatusOK || len(a.Response.Items) != 1 {
			t.Errorf("%s: want an answer, got %d %+v", path, status, a)
		}
	}
	pool.Store(nil)
	if status, a := asks(good, ownValidate); status != http.StatusUnauthorized || a.Response.SystemError == "" {
		t.Errorf("want everybody refused without authorities, got %d", status)
	}
	response, err := good.Post(r.doors+validateDoor, "application/json", bytes.NewReader(recorded(t, "pod-create")))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("want Gatekeeper's certificate refused at admission, got %d", response.StatusCode)
	}
}

func TestAuthorityFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.crt")
	write := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	certificate := func(a authority) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
	}
	now := time.Now()
	if _, err := server.AuthorityFile(file, time.Now, nil); err == nil {
		t.Error("want an error for a file that is not there")
	}
	write([]byte("no certificate"))
	if _, err := server.AuthorityFile(file, time.Now, nil); err == nil {
		t.Error("want an error for a file without certificates")
	}
	one, two := newAuthority(t), newAuthority(t)
	write(certificate(one))
	var failures []error
	f, err := server.AuthorityFile(file, func() time.Time { return now }, func(err error) { failures = append(failures, err) })
	if err != nil {
		t.Fatal(err)
	}
	want := func(reason string, a authority) {
		t.Helper()
		pool := f.Pool()
		if !pool.Equal(a.pool()) {
			t.Errorf("%s: got other authorities", reason)
		}
		if f.Pool() != pool {
			t.Errorf("%s: want the same pool while nothing changes", reason)
		}
	}
	write(certificate(two))
	want("not looked at yet", one)
	now = now.Add(5 * time.Second)
	want("the file has changed", two)
	write([]byte("half"))
	now = now.Add(5 * time.Second)
	want("the last good ones stay", two)
	if len(failures) != 1 {
		t.Errorf("want the failure told once, got %v", failures)
	}
}
