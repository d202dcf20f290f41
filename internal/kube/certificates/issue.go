package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

// A pair is a certificate and its key, which is nil where it is gone.
type pair struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// issued is when the certificate was made.
func (p pair) issued() time.Time { return p.certificate.NotBefore.Add(clockSkew) }

// due is when its successor is to be made: after two thirds of its life.
func (p pair) due() time.Time {
	return p.issued().Add(p.certificate.NotAfter.Sub(p.issued()) * 2 / 3)
}

// validAt reports whether a caller with this clock takes the certificate.
func (p pair) validAt(now time.Time) bool {
	return !now.Before(p.certificate.NotBefore) && now.Before(p.certificate.NotAfter)
}

// isFrom reports whether the authority issued the certificate.
func (p pair) isFrom(authority pair) bool {
	return p.certificate.CheckSignatureFrom(authority.certificate) == nil
}

// covers reports whether the certificate names all hosts.
func (p pair) covers(hosts []string) bool {
	for _, h := range hosts {
		if p.certificate.VerifyHostname(h) != nil {
			return false
		}
	}
	return true
}

// hosts are the names and addresses that the certificate is for.
func (p pair) hosts() []string {
	hosts := slices.Clone(p.certificate.DNSNames)
	for _, ip := range p.certificate.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return hosts
}

func newAuthority(now time.Time, life time.Duration) (pair, error) {
	return sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "bonafide CA"}, NotBefore: now.Add(-clockSkew), NotAfter: now.Add(life),
		KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}, pair{})
}

// issue makes a leaf for hosts, which ends with the authority at the latest.
func (p pair) issue(now time.Time, life time.Duration, hosts []string) (pair, error) {
	end := now.Add(life)
	if p.certificate.NotAfter.Before(end) {
		end = p.certificate.NotAfter
	}
	leaf := &x509.Certificate{
		Subject: pkix.Name{CommonName: "bonafide"}, NotBefore: now.Add(-clockSkew), NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, h)
		}
	}
	return sign(leaf, p)
}

// sign makes a key and its certificate, issued by the authority or, if that is
// zero, by the key itself.
func sign(template *x509.Certificate, authority pair) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, fmt.Errorf("make a key: %w", err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return pair{}, fmt.Errorf("make a serial number: %w", err)
	}
	if authority.certificate == nil {
		authority = pair{certificate: template, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority.certificate, key.Public(), authority.key)
	if err != nil {
		return pair{}, fmt.Errorf("sign a certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return pair{}, fmt.Errorf("read back a certificate: %w", err)
	}
	return pair{certificate: certificate, key: key}, nil
}
