package policyset

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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
	// TrustedRoot holds the transparency logs and authorities of signers that name
	// no trusted root of their own. Without, a policy with such a signer that
	// requires a log is refused (TRUST R25).
	TrustedRoot *sigstore.TrustedRoot
	// Material keeps what comes from afar: trusted roots of TUF mirrors, and keys
	// of key management services. Without, a policy that names one is refused.
	Material Material
	// Now is the time at which a certificate must be valid where nothing proves
	// when a signature was made; nil accepts no such signature.
	Now func() time.Time
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

	roots *rootCache // nil: a trusted root is parsed for each signer
}

// Material knows what comes from afar, and waits for none of it. An error that
// wraps an [*evidence.Problem] with reason TrustRootUnavailable or KeyUnavailable
// says that nothing is known yet: the policy is loaded, and its signer undecided,
// until another revision (see [Options]). Any other error says what is wrong with
// what was asked for.
type Material interface {
	// TrustedRoot returns the trusted_root.json of a TUF repository.
	TrustedRoot(dialect.TUFSpec) ([]byte, error)
	// PublicKey returns the PEM of the public key that a URI names.
	PublicKey(uri string) ([]byte, error)
}

var _ dialect.Signers = Signers{}

// NewSigners returns Signers with a trusted root, which may be nil. They parse a
// trusted root that several policies name once.
func NewSigners(root *sigstore.TrustedRoot) Signers {
	return Signers{TrustedRoot: root, roots: &rootCache{}}
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
