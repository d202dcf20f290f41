package notation

import (
	"context"
	"fmt"
	"strings"

	"github.com/notaryproject/notation-core-go/revocation"
	"github.com/notaryproject/notation-go/plugin"
	framework "github.com/notaryproject/notation-plugin-framework-go/plugin"
)

// manager implements plugin.Manager for the library.
type manager struct{ call *call }

// Get returns a stand-in for a plugin that the signer allows.
func (m manager) Get(_ context.Context, name string) (framework.Plugin, error) {
	p, found := find(m.call.plugins, name)
	if !found {
		return nil, fmt.Errorf("expected a plugin that the signer allows, got %q", clip(name))
	}
	m.call.plugin = p
	return standIn{call: m.call}, nil
}

// List implements plugin.Manager. Verification does not ask.
func (manager) List(context.Context) ([]string, error) { return nil, nil }

// standIn takes a plugin's place while the library works. The library runs a
// plugin before it knows whether the chain is trusted, and drops its own
// checks for each that a plugin can do. A stand-in runs nothing and claims to
// check revocation, which it does by asking our validator; the plugin itself is
// asked by the judgement, after all else has passed (TRUST R30).
//
// The embedded interface is nil: its methods are those of signing.
type standIn struct {
	framework.Plugin
	call *call
}

// GetMetadata claims the version that every signature is content with.
func (s standIn) GetMetadata(context.Context, *framework.GetMetadataRequest) (*framework.GetMetadataResponse, error) {
	m := &framework.GetMetadataResponse{
		Name: s.call.plugin.Name, Version: strings.Repeat("9", maxVersion) + ".0.0",
		Capabilities: []framework.Capability{framework.CapabilityRevocationCheckVerifier},
	}
	if s.call.plugin.replaces(ReplacesTrustedIdentity) {
		m.Capabilities = append(m.Capabilities, framework.CapabilityTrustedIdentityVerifier)
	}
	return m, nil
}

// VerifySignature passes what is the plugin's to say, and asks about
// revocation what is ours.
func (s standIn) VerifySignature(ctx context.Context, r *framework.VerifySignatureRequest) (*framework.VerifySignatureResponse, error) {
	answer := &framework.VerifySignatureResponse{VerificationResults: map[framework.Capability]*framework.VerificationResult{}}
	for _, name := range r.Signature.UnprocessedAttributes {
		answer.ProcessedAttributes = append(answer.ProcessedAttributes, name)
	}
	for _, c := range r.TrustPolicy.SignatureVerification {
		result := &framework.VerificationResult{Success: true}
		if c == framework.CapabilityRevocationCheckVerifier && !s.call.plugin.replaces(ReplacesRevocation) {
			result.Success = s.good(ctx, r)
		}
		answer.VerificationResults[c] = result
	}
	return answer, nil
}

// good asks about the chain as the library would have.
func (s standIn) good(ctx context.Context, r *framework.VerifySignatureRequest) bool {
	o := revocation.ValidateContextOptions{CertChain: s.call.envelope.chain}
	if at := r.Signature.CriticalAttributes.AuthenticSigningTime; at != nil {
		o.AuthenticSigningTime = *at
	}
	_, err := validator{call: s.call}.ValidateContext(ctx, o)
	return err == nil && s.call.signer.status == Good
}

var (
	_ plugin.Manager   = manager{}
	_ framework.Plugin = standIn{}
)
