package jmes

import (
	"crypto/md5" //nolint:gosec // the policy asks for it by name; nothing is trusted for it
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the policy asks for it by name; nothing is trusted for it
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/bonafide-dev/bonafide/evidence"
)

// digestFunctions are Kyverno's functions of cryptography.
func digestFunctions() []function {
	return []function{
		{name: "sha256", args: []kinds{aString}, run: func(c call) (any, error) {
			sum := sha256.Sum256([]byte(c.string(0)))
			return hex.EncodeToString(sum[:]), c.digesting()
		}},
		{name: "sha1", args: []kinds{aString}, run: func(c call) (any, error) {
			sum := sha1.Sum([]byte(c.string(0))) //nolint:gosec // the policy asks for it by name
			return hex.EncodeToString(sum[:]), c.digesting()
		}},
		{name: "md5", args: []kinds{aString}, run: func(c call) (any, error) {
			sum := md5.Sum([]byte(c.string(0))) //nolint:gosec // the policy asks for it by name
			return hex.EncodeToString(sum[:]), c.digesting()
		}},
		{name: "x509_decode", args: []kinds{aString}, run: x509Decode},
	}
}

func (c call) digesting() error { return c.step(1 + len(c.string(0))/bytesPerStep) }

// publicKey is how x509_decode shows an RSA key.
type publicKey struct {
	N string
	E int
}

// x509Decode returns the members of a certificate, or of a request for one, in
// PEM, named as in Go's crypto/x509. As in Kyverno its key is one of RSA. It
// verifies nothing.
func x509Decode(c call) (any, error) {
	text := c.string(0)
	if len(text) > maxDocument {
		return nil, fmt.Errorf("expected a certificate of at most %d bytes, got %d", maxDocument, len(text))
	}
	const reading = 40 // bytes of JSON and of values for each byte of PEM, at most
	if err := c.produce(reading * len(text)); err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("expected PEM, got other text")
	}
	switch block.Type {
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("expected a certificate: %w", err)
		}
		if certificate.PublicKey, err = shownKey(certificate.PublicKey); err != nil {
			return nil, err
		}
		return members509(certificate)
	case "CERTIFICATE REQUEST":
		request, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("expected a certificate request: %w", err)
		}
		if request.PublicKey, err = shownKey(request.PublicKey); err != nil {
			return nil, err
		}
		return members509(request)
	}
	return nil, fmt.Errorf("expected PEM of a CERTIFICATE or a CERTIFICATE REQUEST, got %q", clip(block.Type, maxShown))
}

func shownKey(key any) (any, error) {
	k, is := key.(*rsa.PublicKey)
	if !is {
		return nil, fmt.Errorf("expected a key of RSA, got %T", key)
	}
	return publicKey{N: k.N.String(), E: k.E}, nil
}

func members509(of any) (any, error) {
	data, err := json.Marshal(of)
	if err != nil {
		return nil, fmt.Errorf("write the certificate as JSON: %w", err)
	}
	var v any
	return v, evidence.DecodeJSON(data, &v)
}
