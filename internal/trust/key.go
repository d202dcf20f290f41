package trust

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
)

// PublicKeyFunc asks a key management service for the public key that the URI
// names, and returns it as PEM. It is called by one goroutine at a time for one
// URI. Its errors hold no secret.
type PublicKeyFunc func(ctx context.Context, uri string) ([]byte, error)

const (
	// maxKeyURI bounds a URI. The longest in use, with an ARN or a path of
	// Google's, stay below 400 bytes.
	maxKeyURI = 1024
	// maxKeyPEM bounds a key. An RSA key of 16384 bits is below 4 KiB.
	maxKeyPEM = 16 << 10
)

// KeySchemes returns the schemes of URIs that [Keeper.PublicKey] takes.
func KeySchemes() []string { return []string{"awskms", "azurekms", "gcpkms", "hashivault"} }

// checkKeyURI refuses what cannot name a key. What a URI may say further is its
// service's to judge.
func checkKeyURI(uri string) error {
	scheme, rest, found := strings.Cut(uri, "://")
	switch {
	case len(uri) > maxKeyURI:
		return fmt.Errorf("expected a URI of at most %d bytes, got %d", maxKeyURI, len(uri))
	case !found || rest == "" || !slices.Contains(KeySchemes(), scheme):
		return fmt.Errorf("expected a URI that begins with one of %s://, got %.100q", strings.Join(KeySchemes(), "://, "), uri)
	case strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("expected a URI of printable characters, got %.100q", uri)
	case strings.ContainsAny(rest, "@?#%\\") || slices.Contains(strings.Split(rest, "/"), ".."):
		return fmt.Errorf("expected a URI without credentials, query, fragment, escapes and .., got %.100q", uri)
	}
	return nil
}

// key is a public key that a key management service holds. What the service
// says is not signed: it is believed from the service alone, and not kept on
// disk.
type key struct {
	uri string
	ask PublicKeyFunc
	// running is a question that outlived the look that asked it: not every
	// service's library gives up when it is told to.
	running chan keyAnswer
}

type keyAnswer struct {
	content []byte
	err     error
}

func (k *key) id() string { return "key " + k.uri }

func (k *key) name() string { return k.uri }

func (*key) reason() evidence.Reason { return evidence.KeyUnavailable }

func (*key) restore(time.Time) (material, error) { return material{}, nil }

func (*key) save() error { return nil }

func (k *key) fetch(ctx context.Context, now time.Time) (material, error) {
	if k.ask == nil {
		return material{}, errors.New("expected a key management service, got none in this program")
	}
	if k.running != nil {
		select {
		case <-k.running: // old news
			k.running = nil
		default:
		}
	}
	if k.running == nil {
		k.running = k.question(ctx)
	}
	var a keyAnswer
	select {
	case a = <-k.running:
		k.running = nil
	case <-ctx.Done():
		return material{}, ctx.Err()
	}
	if a.err != nil {
		return material{}, explain(a.err)
	}
	if err := checkKeyPEM(a.content); err != nil {
		return material{}, err
	}
	ends := now.Add(MaxKeyAge)
	return material{content: a.content, checked: now, expires: ends, ends: ends, refresh: keyRefresh}, nil
}

func (k *key) question(ctx context.Context) chan keyAnswer {
	answers := make(chan keyAnswer, 1)
	go func() {
		var a keyAnswer
		defer func() {
			if p := recover(); p != nil {
				a = keyAnswer{err: fmt.Errorf("panic: %v", p)}
			}
			answers <- a
		}()
		a.content, a.err = k.ask(ctx, k.uri)
	}()
	return answers
}

// checkKeyPEM keeps what is no key from taking the place of one.
func checkKeyPEM(content []byte) error {
	if len(content) > maxKeyPEM {
		return fmt.Errorf("expected a public key of at most %d bytes, got %d", maxKeyPEM, len(content))
	}
	block, rest := pem.Decode(content)
	if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return errors.New("expected one PEM block PUBLIC KEY, got something else")
	}
	if _, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil {
		return fmt.Errorf("parse the public key: %w", err)
	}
	return nil
}
