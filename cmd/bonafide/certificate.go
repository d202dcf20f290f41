package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/bonafide-dev/bonafide/internal/server"
)

// certificate sets where the server's certificate comes from: files, or memory.
func (v *service) certificate(ctx context.Context, o *server.Options) error {
	cert, key := v.options.cert, v.options.key
	switch {
	case (cert == "") != (key == ""):
		return errors.New("--tls-cert and --tls-key: expected both or neither")
	case cert != "" && v.options.writeCA != "":
		return errors.New("--write-ca: expected no --tls-cert beside it; it is for the certificate that is made in memory")
	case cert != "":
		files, err := server.CertificateFiles(cert, key, time.Now, func(err error) {
			v.log.ErrorContext(ctx, "certificate does not load; the last good one stays", slog.String("error", err.Error()))
		})
		if err != nil {
			return fmt.Errorf("--tls-cert: %w", err)
		}
		o.GetCertificate, v.expires = files.Get, files.NotAfter
		return nil
	}
	ca, err := v.madeCertificate(ctx, o)
	if err != nil {
		return err
	}
	if v.options.writeCA == "" {
		return nil
	}
	if err := os.WriteFile(v.options.writeCA, ca, 0o644); err != nil { //nolint:gosec // a CA certificate is public
		return fmt.Errorf("--write-ca: %w", err)
	}
	return nil
}

// madeCertificate sets a certificate of our own making: that which the replicas
// share, or one in memory. It returns what the certificate verifies against.
func (v *service) madeCertificate(ctx context.Context, o *server.Options) (ca []byte, err error) {
	if v.cluster != nil {
		keeper, err := v.sharedCertificate(ctx)
		if err != nil {
			return nil, err
		}
		o.GetCertificate, v.expires = keeper.Get, keeper.NotAfter
		return keeper.CABundle(), nil
	}
	made, ca, err := server.SelfSigned(v.options.hosts(), time.Now())
	if err != nil {
		return nil, err
	}
	o.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &made, nil }
	v.expires = func() time.Time { return made.Leaf.NotAfter }
	return ca, nil
}

// hosts are the names under which the server may be called: loopback, the
// machine, the address it listens on, and its Service.
func (o serveOptions) hosts() []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if host, _, err := net.SplitHostPort(o.listen); err == nil && host != "" && net.ParseIP(host) != nil && !net.ParseIP(host).IsUnspecified() {
		hosts = append(hosts, host)
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		hosts = append(hosts, name)
	}
	if addresses, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
				hosts = append(hosts, n.IP.String())
			}
		}
	}
	namespace := o.namespace()
	return append(hosts, "bonafide."+namespace+".svc", "bonafide."+namespace+".svc.cluster.local")
}
