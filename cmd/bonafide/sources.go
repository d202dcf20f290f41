package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/notation"
	"github.com/bonafide-dev/bonafide/registry"
)

// sourceSet reads registries, and layouts on disk under names that no registry
// has.
type sourceSet struct {
	remote  engine.Sources
	layouts map[string]*registry.Layout // by repository
}

// Source implements engine.Sources.
func (s *sourceSet) Source(ctx context.Context, p evidence.Puller, r imageref.Repository) (evidence.Source, string, error) {
	if l, found := s.layouts[r.String()]; found {
		return l, "", nil
	}
	return s.remote.Source(ctx, p, r)
}

// addLayout opens "DIR" or "DIR:TAG" and returns the reference that stands for
// the image, by digest.
func (s *sourceSet) addLayout(name string) (string, error) {
	dir, tag := name, ""
	if _, err := os.Stat(dir); err != nil {
		if i := strings.LastIndexByte(name, ':'); i > 0 {
			dir, tag = name[:i], name[i+1:]
		}
	}
	if dir == "" {
		return "", hintError{errors.New("oci: expected a folder, got nothing"), "name an OCI layout, for example oci:./image"}
	}
	repository := imageref.MustParse("oci.layout/image").Repository()
	if n := len(s.layouts); n > 0 {
		ref, err := imageref.Parse(fmt.Sprintf("oci.layout/image-%d", n+1))
		if err != nil {
			return "", err
		}
		repository = ref.Repository()
	}
	l, err := registry.OpenLayout(dir, repository)
	if err != nil {
		return "", fmt.Errorf("oci:%s: %w", name, err)
	}
	image, err := l.Image(context.Background(), tag)
	if err != nil {
		return "", errors.Join(fmt.Errorf("oci:%s: %w", name, err), l.Close())
	}
	if s.layouts == nil {
		s.layouts = map[string]*registry.Layout{}
	}
	s.layouts[repository.String()] = l
	return repository.WithDigest(image.Digest()).String(), nil
}

func (s *sourceSet) close() {
	for _, l := range s.layouts {
		_ = l.Close() // it was only read
	}
}

// proxy reads the proxy variables of the environment.
func proxy() func(*url.URL) (*url.URL, error) { return httpproxy.FromEnvironment().ProxyFunc() }

// revocationTimeout bounds one request to an OCSP or CRL service.
const revocationTimeout = 5 * time.Second

// revocationBy asks the services that verified certificates name, through the
// client's rules for strangers.
func revocationBy(client *registry.Client) (notation.Revocation, error) {
	return notation.NewOnline(&http.Client{
		Transport:     client.Elsewhere(),
		Timeout:       revocationTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, time.Now)
}

// notationSigner makes a signer of Notation's own files.
func notationSigner(document, store string, make policyset.Signers) (*notation.Signer, error) {
	raw, err := os.ReadFile(document)
	if err != nil {
		return nil, fmt.Errorf("--notation-trust-policy: %w", err)
	}
	stores, err := notation.OpenTrustStores(store)
	if err != nil {
		return nil, fmt.Errorf("--notation-trust-store %s: %w", store, err)
	}
	signer, err := notation.FromDocument(raw, stores, notation.DocumentOptions{Revocation: make.Revocation, Plugins: make.Plugins, PluginHost: make.PluginHost})
	if err != nil {
		return nil, fmt.Errorf("--notation-trust-policy %s: %w", document, err)
	}
	return signer, nil
}
