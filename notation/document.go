package notation

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"sigs.k8s.io/json"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// Bounds of a trust policy document. It may be a tenant's.
const (
	maxDocument   = 1 << 20 // bytes: a ConfigMap cannot hold more
	maxStatements = 1000
)

// DocumentOptions vary [FromDocument]. The zero DocumentOptions is the strict
// one.
type DocumentOptions struct {
	// Revocation tells about revoked certificates; nil means [Offline].
	Revocation Revocation
	// Parser reads registryScopes under the operator's host aliases.
	Parser imageref.Parser
	// Plugins are the verification plugins that signatures may call for: the
	// document's language does not name any. PluginHost runs them.
	Plugins    []Plugin
	PluginHost *PluginHost
}

// FromDocument returns a signer that judges by a Notation trust policy document
// of version 1.0 (trust-store-trust-policy.md, "Trust Policy"). Each image is
// judged by the statement whose registryScopes name its repository, else by
// that with scope "*", else it is out of scope.
//
// The document is read strictly (TRUST R19): unknown and repeated names, a
// store that is not among stores, timestamp settings without a store of type
// tsa and level "skip" with scope "*" are errors. Stores that the document does
// not name are ignored.
func FromDocument(document []byte, stores []TrustStore, o DocumentOptions) (*Signer, error) {
	plugins, err := clonePlugins(o.Plugins)
	if err != nil {
		return nil, fmt.Errorf("read trust policy document: %w", err)
	}
	d, err := decodeDocument(document, plugins)
	if err != nil {
		return nil, fmt.Errorf("read trust policy document: %w", err)
	}
	statements := make([]statement, 0, len(d.TrustPolicies))
	for _, p := range d.TrustPolicies {
		s, err := readStatement(p, stores, o.Parser, plugins)
		if err != nil {
			return nil, fmt.Errorf("trust policy %q: %w", clip(p.Name), err)
		}
		for _, other := range statements {
			for _, scope := range s.scopes {
				if slices.Contains(other.scopes, scope) {
					return nil, fmt.Errorf("trust policy %q: expected each repository in one statement, got %q in %q too", clip(p.Name), scope, clip(other.name))
				}
			}
		}
		statements = append(statements, s)
	}
	return newSigner(Signer{statements: statements, revocation: o.Revocation, plugins: plugins, host: o.PluginHost})
}

func decodeDocument(document []byte, plugins []Plugin) (*trustpolicy.Document, error) {
	if len(document) > maxDocument {
		return nil, fmt.Errorf("expected at most %d bytes, got %d", maxDocument, len(document))
	}
	var d trustpolicy.Document
	if err := decodeStrict(document, &d); err != nil {
		return nil, err
	}
	if len(d.TrustPolicies) > maxStatements {
		return nil, fmt.Errorf("expected at most %d statements, got %d", maxStatements, len(d.TrustPolicies))
	}
	for _, p := range d.TrustPolicies {
		// Before the library parses any name.
		if err := checkIdentities(p.TrustedIdentities, plugins); err != nil {
			return nil, fmt.Errorf("trust policy %q: %w", clip(p.Name), err)
		}
	}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	return &d, nil
}

// decodeStrict refuses unknown names and repeated ones (TRUST R19).
func decodeStrict(data []byte, into any) error {
	if err := evidence.CheckJSON(data); err != nil {
		return err
	}
	strict, err := json.UnmarshalStrict(data, into)
	if err != nil {
		return err
	}
	return errors.Join(strict...)
}

func readStatement(p trustpolicy.TrustPolicy, stores []TrustStore, parser imageref.Parser, plugins []Plugin) (statement, error) {
	used, err := named(p.TrustStores, stores)
	if err != nil {
		return statement{}, err
	}
	s, err := newStatement(p, used, plugins)
	if err != nil {
		return statement{}, err
	}
	return s, s.setScopes(parser, p.RegistryScopes)
}

// named returns the stores that a statement names, each checked.
func named(names []string, stores []TrustStore) ([]TrustStore, error) {
	if len(names) > maxStores {
		return nil, fmt.Errorf("expected at most %d trust stores, got %d", maxStores, len(names))
	}
	var used []TrustStore
	for _, full := range names {
		t, name, _ := strings.Cut(full, ":")
		if !validStoreName(name) {
			return nil, fmt.Errorf("trust store %q: expected a name of letters, digits, '_', '.' and '-'", clip(full))
		}
		is := func(s TrustStore) bool { return s.Type == StoreType(t) && s.Name == name }
		if slices.ContainsFunc(used, is) {
			continue
		}
		i := slices.IndexFunc(stores, is)
		if i < 0 {
			return nil, fmt.Errorf("trust store %q: expected it among the trust stores, got none of that type and name", clip(full))
		}
		if err := stores[i].check(); err != nil {
			return nil, fmt.Errorf("trust store %q: %w", clip(full), err)
		}
		used = append(used, stores[i])
	}
	return used, nil
}
