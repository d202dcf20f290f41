package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/notaryproject/notation-core-go/revocation"
	"github.com/notaryproject/notation-core-go/revocation/result"
	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/signer"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

const (
	mediaTypeJWS  = "application/jose+json"
	mediaTypeCOSE = "application/cose"
)

func (b *bench) repository(image fixture.Image) (registry.Repository, error) {
	repository, err := remote.NewRepository(image.Reference.Repository().String())
	if err != nil {
		return nil, err
	}
	repository.PlainHTTP = true
	return registry.NewRepository(repository), nil
}

// notate signs an image with notation-go, as the notation command does.
func (b *bench) notate(ctx context.Context, image fixture.Image, who, mediaType string, expiry time.Duration) error {
	b.made = append(b.made, fmt.Sprintf("notation-go: Sign by %s, %s, expiry %s, $IMAGE", who, mediaType, expiry))
	leaf := b.leaves[who]
	local, err := signer.NewGenericSigner(leaf.Key.Signer, leaf.Chain)
	if err != nil {
		return err
	}
	repository, err := b.repository(image)
	if err != nil {
		return err
	}
	_, err = notation.Sign(ctx, local, repository, notation.SignOptions{
		SignerSignOptions: notation.SignerSignOptions{SignatureMediaType: mediaType, ExpiryDuration: expiry},
		ArtifactReference: image.Pinned().String(),
	})
	return err
}

// notationAllows asks notation-go about an image.
func (b *bench) notationAllows(ctx context.Context, image fixture.Image, k fixture.Check) (bool, error) {
	raw, err := os.ReadFile(filepath.Join(b.out, k.Signer.Store))
	if err != nil {
		return false, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return false, errors.New("expected a certificate in PEM")
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return false, err
	}
	document := &trustpolicy.Document{Version: "1.0", TrustPolicies: []trustpolicy.TrustPolicy{{
		Name: "corpus", RegistryScopes: []string{"*"}, TrustStores: []string{"ca:corpus"}, TrustedIdentities: []string{k.Signer.Identity},
		SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: "strict"},
	}}}
	v, err := verifier.NewWithOptions(document, store{root}, nil, verifier.VerifierOptions{
		RevocationCodeSigningValidator: unrevocable{}, RevocationTimestampingValidator: unrevocable{},
	})
	if err != nil {
		return false, err
	}
	repository, err := b.repository(image)
	if err != nil {
		return false, err
	}
	_, _, err = notation.Verify(ctx, v, repository, notation.VerifyOptions{ArtifactReference: image.Pinned().String(), MaxSignatureAttempts: 50})
	return err == nil, nil
}

// store is a trust store of one root.
type store struct{ root *x509.Certificate }

func (s store) GetCertificates(context.Context, truststore.Type, string) ([]*x509.Certificate, error) {
	return []*x509.Certificate{s.root}, nil
}

// unrevocable answers for certificates that name no revocation service.
type unrevocable struct{}

func (unrevocable) ValidateContext(_ context.Context, o revocation.ValidateContextOptions) ([]*result.CertRevocationResult, error) {
	results := make([]*result.CertRevocationResult, len(o.CertChain))
	for i := range results {
		results[i] = &result.CertRevocationResult{Result: result.ResultNonRevokable}
	}
	return results, nil
}
