package certificates

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// The keys of the Secret beside those of every TLS Secret.
const (
	caCertificates = "ca.crt"
	caKeys         = "ca.key"
)

// maxAuthorities is the number of authorities that a rotation holds: the new and
// the old.
const maxAuthorities = 2

const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "EC PRIVATE KEY"
)

// content is what the Secret says. It is never changed once made.
type content struct {
	authorities []pair // the newest first, one or two; the newest has its key
	leaf        pair   // issued by one of them
}

// parse reads a Secret's data. The error says what is wrong and quotes nothing:
// what is wrong may be a key.
func parse(data map[string][]byte) (*content, error) {
	certificates, err := parseCertificates(data[caCertificates])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", caCertificates, err)
	}
	if n := len(certificates); n == 0 || n > maxAuthorities {
		return nil, fmt.Errorf("%s: expected one or two certificates, got %d", caCertificates, n)
	}
	keys, err := parseKeys(data[caKeys])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", caKeys, err)
	}
	c := &content{}
	for _, certificate := range certificates {
		if !certificate.IsCA {
			return nil, fmt.Errorf("%s: expected certificates of authorities, got another", caCertificates)
		}
		c.authorities = append(c.authorities, pair{certificate: certificate, key: keyOf(certificate, keys)})
	}
	if c.authorities[0].key == nil {
		return nil, fmt.Errorf("%s: expected the key of the first certificate of %s", caKeys, caCertificates)
	}
	if c.leaf, err = parseLeaf(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey]); err != nil {
		return nil, err
	}
	for _, authority := range c.authorities {
		if c.leaf.isFrom(authority) {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%s: expected a certificate that an authority of %s issued", corev1.TLSCertKey, caCertificates)
}

func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	for len(certificates) <= maxAuthorities {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		if block.Type != certificateBlock {
			return nil, errors.New("expected certificates alone")
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("expected a certificate: %w", err)
		}
		certificates, text = append(certificates, certificate), rest
	}
	return certificates, nil
}

func parseKeys(text []byte) ([]*ecdsa.PrivateKey, error) {
	var keys []*ecdsa.PrivateKey
	for len(keys) <= maxAuthorities {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		key, err := x509.ParseECPrivateKey(block.Bytes)
		if err != nil {
			return nil, errors.New("expected an EC private key")
		}
		keys, text = append(keys, key), rest
	}
	return keys, nil
}

// keyOf finds the certificate's key, or nil.
func keyOf(certificate *x509.Certificate, keys []*ecdsa.PrivateKey) *ecdsa.PrivateKey {
	for _, key := range keys {
		if key.PublicKey.Equal(certificate.PublicKey) {
			return key
		}
	}
	return nil
}

func parseLeaf(certificate, key []byte) (pair, error) {
	parsed, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return pair{}, fmt.Errorf("expected %s and %s to be a certificate and its key", corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	}
	private, ok := parsed.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return pair{}, fmt.Errorf("%s: expected an EC private key, got another kind", corev1.TLSPrivateKeyKey)
	}
	if parsed.Leaf == nil {
		if parsed.Leaf, err = x509.ParseCertificate(parsed.Certificate[0]); err != nil {
			return pair{}, fmt.Errorf("%s: expected a certificate: %w", corev1.TLSCertKey, err)
		}
	}
	return pair{certificate: parsed.Leaf, key: private}, nil
}

// bundle is ca.crt.
func (c *content) bundle() []byte {
	var text bytes.Buffer
	for _, authority := range c.authorities {
		text.Write(certificatePEM(authority))
	}
	return text.Bytes()
}

// data is what the Secret is to hold.
func (c *content) data() (map[string][]byte, error) {
	var keys bytes.Buffer
	for _, authority := range c.authorities {
		if authority.key == nil {
			continue
		}
		text, err := keyPEM(authority.key)
		if err != nil {
			return nil, err
		}
		keys.Write(text)
	}
	key, err := keyPEM(c.leaf.key)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		corev1.TLSCertKey: certificatePEM(c.leaf), corev1.TLSPrivateKeyKey: key,
		caCertificates: c.bundle(), caKeys: keys.Bytes(),
	}, nil
}

func (c *content) equal(other *content) bool {
	return other != nil && c.leaf.certificate.Equal(other.leaf.certificate) && bytes.Equal(c.bundle(), other.bundle())
}

// serving is the leaf as a TLS server takes it.
func (c *content) serving() *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{c.leaf.certificate.Raw}, PrivateKey: c.leaf.key, Leaf: c.leaf.certificate}
}

func certificatePEM(p pair) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: p.certificate.Raw})
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("write a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), nil
}
