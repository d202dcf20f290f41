package rig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// RatifyOptions say how a Ratify runs.
type RatifyOptions struct {
	// Config is Ratify's configuration file, in JSON. Relative paths in it name
	// Files.
	Config []byte
	// Files are further files, by name.
	Files map[string][]byte
	// ClientCA is the PEM of who issues the certificates of clients; without it
	// Ratify asks for none.
	ClientCA []byte
	// Cache lets Ratify remember its answers, as its chart does.
	Cache bool
}

// A Ratify is a running Ratify v1 server.
type Ratify struct {
	URL      string // "https://127.0.0.1:PORT", the paths are Ratify's own
	CABundle []byte // PEM: issuer of its serving certificate
}

// StartRatify runs Ratify for tb and stops it when tb ends. It speaks TLS 1.3
// only.
func StartRatify(tb testing.TB, o RatifyOptions) *Ratify {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context())
	executable, err := Binary(ctx, "ratify")
	if err != nil {
		tb.Fatal(err)
	}
	ca, err := newAuthority("ratify-ca")
	if err != nil {
		tb.Fatal(err)
	}
	folder := tb.TempDir()
	if err := errors.Join(ca.issueInto(folder), o.write(folder)); err != nil {
		tb.Fatal(err)
	}
	r := &Ratify{CABundle: ca.pem}
	var p *process
	err = onFreePort(ctx, func(port int) error {
		address := addressOf(port)
		r.URL = "https://" + address
		p, err = startRatify(ctx, folder, executable, address, o)
		return err
	})
	if err != nil {
		tb.Fatalf("start Ratify: %v", err)
	}
	tb.Cleanup(func() {
		p.stop()
		if tb.Failed() {
			tb.Log(p.tail())
		}
	})
	return r
}

const ratifyConfig, ratifyClientCA = "config.json", "client-ca.crt"

func (o RatifyOptions) write(folder string) error {
	errs := []error{os.WriteFile(filepath.Join(folder, ratifyConfig), o.Config, 0o600)}
	for name, content := range o.Files {
		errs = append(errs, os.WriteFile(filepath.Join(folder, name), content, 0o600))
	}
	if len(o.ClientCA) > 0 {
		errs = append(errs, os.WriteFile(filepath.Join(folder, ratifyClientCA), o.ClientCA, 0o600))
	}
	return errors.Join(errs...)
}

func startRatify(ctx context.Context, folder, executable, address string, o RatifyOptions) (*process, error) {
	c := command{
		folder: folder, executable: executable, args: []string{"serve", "-c", ratifyConfig, "--http", address, "--cert-dir", folder},
		env: []string{"HOME=" + folder, "RATIFY_CONFIG=" + folder, "RATIFY_LOG_LEVEL=warn"},
	}
	if len(o.ClientCA) > 0 {
		c.args = append(c.args, "--ca-cert-file", ratifyClientCA)
	}
	if o.Cache {
		c.args = append(c.args, "--cache-enabled")
	}
	p, err := c.start(ctx)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if pem, err := os.ReadFile(filepath.Join(folder, "ca.crt")); err == nil {
		roots.AppendCertsFromPEM(pem)
	}
	err = p.ready(ctx, func(ctx context.Context) error {
		dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}
