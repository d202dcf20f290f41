package rig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// lifetime of the rig's certificates: longer than any test, shorter than
// anyone's interest in a leaked key.
const lifetime = 24 * time.Hour

// An authority signs the certificates of one cluster.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	pem         []byte
}

func newAuthority(name string) (*authority, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	template := newTemplate(name)
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign authority %q: %w", name, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{certificate: certificate, key: key, pem: pemOf("CERTIFICATE", der)}, nil
}

// A keyPair holds the paths of a PEM certificate and its key.
type keyPair struct{ certificate, key string }

// issueInto writes a certificate into a folder of its own, under the names that
// servers in Kubernetes expect there. Its holder can also show it as a client.
func (a *authority) issueInto(folder string) error {
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	if _, err := a.issue(folder, "tls", usages...); err != nil { // tls.crt, tls.key
		return err
	}
	return os.WriteFile(filepath.Join(folder, "ca.crt"), a.pem, 0o600)
}

// issue writes a certificate for the name and for loopback, and its key, into
// folder.
func (a *authority) issue(folder, name string, usages ...x509.ExtKeyUsage) (keyPair, error) {
	key, err := newKey()
	if err != nil {
		return keyPair{}, err
	}
	template := newTemplate(name)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = usages
	template.DNSNames = []string{"localhost", "kubernetes.default.svc"}
	template.IPAddresses = []net.IP{net.ParseIP(loopback)}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return keyPair{}, fmt.Errorf("sign certificate %q: %w", name, err)
	}
	pair := keyPair{certificate: filepath.Join(folder, name+".crt"), key: filepath.Join(folder, name+".key")}
	if err := os.WriteFile(pair.certificate, pemOf("CERTIFICATE", der), 0o600); err != nil {
		return keyPair{}, err
	}
	return pair, writeKey(pair.key, key)
}

func newTemplate(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Minute),
		NotAfter:     now.Add(lifetime),
	}
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pemOf("PRIVATE KEY", der), 0o600)
}

func writePublicKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return os.WriteFile(path, pemOf("PUBLIC KEY", der), 0o600)
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
