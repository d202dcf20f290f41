package notation

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"

	"github.com/bonafide-dev/bonafide/imageref"
)

const documentVersion = "1.0"

// statement is one statement of a trust policy, with its trust stores.
type statement struct {
	name      string
	level     string
	wildcard  bool // the scope is "*"
	scopes    []imageref.Repository
	rules     rules
	timestamp trustpolicy.TimestampOption
	stores    []TrustStore
	names     []string // trusted identities
	admits    bool     // what is not enforced, with a note
	// document is what the library judges by: this statement alone, for every
	// repository. The choice among statements is made here, on canonical names.
	document *trustpolicy.Document
}

// newStatement checks a statement with its stores. Scopes are the caller's.
func newStatement(p trustpolicy.TrustPolicy, stores []TrustStore, plugins []Plugin) (statement, error) {
	if err := checkIdentities(p.TrustedIdentities, plugins); err != nil {
		return statement{}, err
	}
	p.RegistryScopes = []string{"*"}
	document := &trustpolicy.Document{Version: documentVersion, TrustPolicies: []trustpolicy.TrustPolicy{p}}
	if err := document.Validate(); err != nil {
		return statement{}, fmt.Errorf("check statement: %w", err)
	}
	actions, err := rulesOf(p.SignatureVerification)
	if err != nil {
		return statement{}, err
	}
	if err := checkTimestamps(p.SignatureVerification, stores); err != nil {
		return statement{}, err
	}
	vouches := func(s TrustStore) bool { return s.Type != TSA }
	if !actions.skipped() && !slices.ContainsFunc(stores, vouches) {
		return statement{}, fmt.Errorf("expected a trust store of type %q or %q, got timestamp authorities alone", CA, SigningAuthority)
	}
	return statement{
		name: p.Name, level: p.SignatureVerification.VerificationLevel, rules: actions,
		timestamp: p.SignatureVerification.VerifyTimestamp, stores: stores, names: p.TrustedIdentities, document: document,
	}, nil
}

// setScopes reads registryScopes as canonical repositories (TRUST R11).
func (s *statement) setScopes(parser imageref.Parser, scopes []string) error {
	if slices.Equal(scopes, []string{"*"}) {
		if s.rules.skipped() {
			return errors.New("level \"skip\" with scope \"*\" would admit every image: name the repositories")
		}
		s.wildcard = true
		return nil
	}
	for _, scope := range scopes {
		host, _, _ := strings.Cut(scope, "/")
		if !strings.ContainsAny(host, ".:") && !strings.EqualFold(host, "localhost") {
			// A layout on notation's local disk, such as "local/app". No image
			// that a node can pull has this name; Docker Hub's is not meant.
			continue
		}
		ref, err := parser.Parse(scope)
		if err != nil {
			return fmt.Errorf("registry scope: %w", err)
		}
		if slices.Contains(s.scopes, ref.Repository()) {
			return fmt.Errorf("registry scope %q: expected each repository once, got %q twice", scope, ref.Repository())
		}
		s.scopes = append(s.scopes, ref.Repository())
	}
	return nil
}

// tsa reports whether timestamps of the scheme notary.x509 are looked at.
func (s *statement) tsa() bool {
	return slices.ContainsFunc(s.stores, func(t TrustStore) bool { return t.Type == TSA })
}
