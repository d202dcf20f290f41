package server

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// selfSignedLife is how long a certificate of [SelfSigned] is valid. It
	// lives in memory alone, so that no process outlives it.
	selfSignedLife = 5 * 365 * 24 * time.Hour
	// clockSkew is how far behind a caller's clock may be.
	clockSkew = time.Hour
	// maxCertificateFile bounds a PEM file; a chain has some KiB.
	maxCertificateFile = 1 << 20
	// certificatePoll is how often the files are read again at most.
	certificatePoll = 5 * time.Second
)

// SelfSigned makes a certificate for hosts (names or addresses), valid for five
// years from now, and returns it with the certificate of the authority that
// issued it, for callers to trust. The authority's key is forgotten: nothing
// else can ever be issued by it.
func SelfSigned(hosts []string, now time.Time) (tls.Certificate, []byte, error) {
	if len(hosts) == 0 {
		return tls.Certificate{}, nil, errors.New("server: expected a host to make a certificate for, got none")
	}
	authority := &x509.Certificate{
		Subject: pkix.Name{CommonName: "bonafide CA"}, NotBefore: now.Add(-clockSkew), NotAfter: now.Add(selfSignedLife),
		KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}
	leaf := &x509.Certificate{
		Subject: pkix.Name{CommonName: "bonafide"}, NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, h)
		}
	}
	authorityKey, authorityDER, err := issue(authority, nil, nil)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	if authority, err = x509.ParseCertificate(authorityDER); err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("server: read back the authority: %w", err)
	}
	leafKey, leafDER, err := issue(leaf, authority, authorityKey)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	parsed, err := x509.ParseCertificate(leafDER)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("server: read back the certificate: %w", err)
	}
	caPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authorityDER})
	return tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: leafKey, Leaf: parsed}, caPEM, nil
}

// issue makes a key and its certificate, signed by parent or, if that is nil,
// by the key itself.
func issue(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("server: make a key: %w", err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, nil, fmt.Errorf("server: make a serial number: %w", err)
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, nil, fmt.Errorf("server: sign a certificate: %w", err)
	}
	return key, der, nil
}

// FileCertificate is a certificate that follows its files. Its Get is a
// [tls.Config.GetCertificate]. It is safe for concurrent use.
type FileCertificate struct {
	certFile, keyFile string
	now               func() time.Time
	failed            func(error)

	mu          sync.Mutex
	read        time.Time
	cert, key   []byte
	certificate *tls.Certificate
}

// CertificateFiles loads a certificate chain and its key from PEM files. The
// files are looked at again when a handshake asks, every few seconds at most;
// if they have changed and do not load, the last good certificate stays and
// failed, which may be nil, is told.
func CertificateFiles(certFile, keyFile string, now func() time.Time, failed func(error)) (*FileCertificate, error) {
	f := &FileCertificate{certFile: certFile, keyFile: keyFile, now: now, failed: failed}
	if err := f.load(); err != nil {
		return nil, err
	}
	f.read = now()
	return f, nil
}

// Get returns the current certificate.
func (f *FileCertificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.current(), nil
}

// NotAfter returns until when the current certificate is valid. It is served
// beyond that: callers who check refuse it, and those who do not go on.
func (f *FileCertificate) NotAfter() time.Time { return f.current().Leaf.NotAfter }

// current returns the certificate of the files as they are now.
func (f *FileCertificate) current() *tls.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now(); now.Sub(f.read) >= certificatePoll {
		f.read = now
		if err := f.load(); err != nil && f.failed != nil {
			f.failed(err)
		}
	}
	return f.certificate
}

// load compares by content: a Secret's volume swaps links, and the time of a
// file tells little.
func (f *FileCertificate) load() error {
	cert, err := readFile(f.certFile)
	if err != nil {
		return err
	}
	key, err := readFile(f.keyFile)
	if err != nil {
		return err
	}
	if f.certificate != nil && bytes.Equal(cert, f.cert) && bytes.Equal(key, f.key) {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("server: load certificate %q with key %q: %w", f.certFile, f.keyFile, err)
	}
	f.cert, f.key, f.certificate = cert, key, &pair
	return nil
}

func readFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	defer file.Close()
	var b bytes.Buffer
	if n, err := io.Copy(&b, io.LimitReader(file, maxCertificateFile+1)); err != nil || n > maxCertificateFile {
		return nil, errors.Join(fmt.Errorf("server: expected %q to be a file of at most %d bytes", name, maxCertificateFile), err)
	}
	return b.Bytes(), nil
}
