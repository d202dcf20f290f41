package policyset

import (
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/notation"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// Signers makes signers of the verifiers. Its fields are what the operator,
// rather than a policy, gives them. The zero Signers is the strict one. It is
// safe for concurrent use.
type Signers struct {
	// TrustedRoot holds the transparency logs and authorities. Without, a policy
	// whose signer requires a log is refused (TRUST R25).
	TrustedRoot *sigstore.TrustedRoot
	// Revocation tells about revoked Notation certificates; nil asks nobody.
	Revocation notation.Revocation
	// Plugins are those that the operator describes. A plugin that a policy names
	// by the same name and digest takes its configuration from here, if the policy
	// has none; nothing else is taken.
	Plugins []notation.Plugin
	// PluginHost runs plugins; nil runs none.
	PluginHost *notation.PluginHost
	// Parser reads repositories under the operator's host aliases.
	Parser imageref.Parser
}

var _ dialect.Signers = Signers{}

// NewSigners returns Signers with a trusted root, which may be nil.
func NewSigners(root *sigstore.TrustedRoot) Signers { return Signers{TrustedRoot: root} }

// Key implements [dialect.Signers]. The verifier's errors name no field, so the
// key is made in steps, each with one more of what the policy says: the step
// that fails names it.
func (s Signers) Key(spec dialect.KeySpec) (policy.Signer, error) {
	hash, err := hashOf(spec.Hash)
	if err != nil {
		return nil, &dialect.SpecError{Field: dialect.FieldHash, Err: err}
	}
	reference, err := s.signedReference(spec.SignedReference)
	if err != nil {
		return nil, &dialect.SpecError{Field: dialect.FieldSignedReference, Err: err}
	}
	options := sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, SignedReference: reference, Annotations: spec.Annotations}}
	if _, err := sigstore.NewKey(spec.PEM, options); err != nil {
		return nil, &dialect.SpecError{Field: dialect.FieldKey, Err: err}
	}
	options.Hash = hash
	if _, err := sigstore.NewKey(spec.PEM, options); err != nil {
		return nil, &dialect.SpecError{Field: dialect.FieldHash, Err: err}
	}
	options.TrustedRoot = s.TrustedRoot
	if !spec.LogIgnored {
		options.TransparencyLog = sigstore.LogRequired
	}
	key, err := sigstore.NewKey(spec.PEM, options)
	if err != nil {
		return nil, &dialect.SpecError{Field: dialect.FieldTransparencyLog, Err: err}
	}
	return key, nil
}

func hashOf(name string) (crypto.Hash, error) {
	switch name {
	case "":
		return 0, nil
	case "sha256":
		return crypto.SHA256, nil
	case "sha384":
		return crypto.SHA384, nil
	case "sha512":
		return crypto.SHA512, nil
	}
	return 0, fmt.Errorf("expected sha256, sha384 or sha512, got %.50q", name)
}

func (s Signers) signedReference(text string) (sigstore.SignedReference, error) {
	switch text {
	case "", "Any":
		return sigstore.SignedReference{}, nil
	case "MatchRepository":
		return sigstore.MatchRepository(), nil
	}
	r, err := s.Parser.Parse(text)
	if err != nil {
		return sigstore.SignedReference{}, err
	}
	return sigstore.SignedFor(r.Repository()), nil
}

// Notation implements [dialect.Signers], in steps as Key does.
func (s Signers) Notation(spec dialect.NotationSpec) (policy.Signer, error) {
	stores, err := trustStores(spec.TrustStores)
	if err != nil {
		return nil, err
	}
	options := notation.Options{TrustStores: stores, TrustedIdentities: []string{"*"}, Revocation: s.Revocation, AdmitNotEnforced: spec.AdmitNotEnforced}
	if _, err := notation.New(options); err != nil {
		return nil, &dialect.SpecError{Field: dialect.FieldTrustStores, Index: -1, Err: err}
	}
	options.Plugins, options.PluginHost = s.plugins(spec.Plugins), s.PluginHost
	if _, err := notation.New(options); err != nil {
		return nil, &dialect.SpecError{Field: dialect.FieldPlugins, Index: -1, Err: err}
	}
	options.TrustedIdentities = spec.TrustedIdentities
	if _, err := notation.New(options); err != nil {
		return nil, &dialect.SpecError{Field: dialect.FieldTrustedIdentities, Err: err}
	}
	if spec.Level == notation.Skip || spec.Level == notation.Audit && !spec.AdmitNotEnforced {
		return nil, &dialect.SpecError{Field: dialect.FieldLevel, Err: errors.New("expected a level that proves who signed")}
	}
	options.Level = spec.Level
	if _, err := notation.New(options); err != nil {
		return nil, &dialect.SpecError{Field: dialect.FieldLevel, Err: err}
	}
	if action := spec.Override["authenticity"]; action != "" && action != "enforce" && !spec.AdmitNotEnforced {
		return nil, &dialect.SpecError{Field: dialect.FieldOverride, Err: fmt.Errorf("authenticity: expected enforce, got %.50q", action)}
	}
	options.Override = spec.Override
	if _, err := notation.New(options); err != nil {
		return nil, &dialect.SpecError{Field: dialect.FieldOverride, Err: err}
	}
	options.VerifyTimestamp = spec.VerifyTimestamp
	signer, err := notation.New(options)
	if err != nil {
		return nil, &dialect.SpecError{Field: dialect.FieldVerifyTimestamp, Err: err}
	}
	return signer, nil
}

// plugins are those of the policy. A configuration may hold secrets: the
// operator's goes to the pinned executable that it was written for.
func (s Signers) plugins(specs []dialect.PluginSpec) []notation.Plugin {
	all := make([]notation.Plugin, 0, len(specs))
	for _, spec := range specs {
		p := notation.Plugin(spec)
		same := func(o notation.Plugin) bool { return o.Name == p.Name && strings.EqualFold(o.SHA256, p.SHA256) }
		if i := slices.IndexFunc(s.Plugins, same); p.Config == nil && i >= 0 {
			p.Config = s.Plugins[i].Config
		}
		all = append(all, p)
	}
	return all
}

func trustStores(specs []dialect.TrustStore) ([]notation.TrustStore, error) {
	var stores []notation.TrustStore
	for i, spec := range specs {
		certificates, err := notation.ParseCertificates(spec.Certificates)
		if err != nil {
			return nil, &dialect.SpecError{Field: dialect.FieldTrustStores, Index: i, Err: err}
		}
		stores = append(stores, notation.TrustStore{Type: notation.StoreType(spec.Type), Certificates: certificates})
	}
	return stores, nil
}

// Keyless implements [dialect.Signers].
func (s Signers) Keyless(dialect.KeylessSpec) (policy.Signer, error) {
	return nil, errors.New("keyless signers are not supported yet")
}

// Certificate implements [dialect.Signers].
func (s Signers) Certificate(dialect.CertificateSpec) (policy.Signer, error) {
	return nil, errors.New("certificates are not supported yet")
}
