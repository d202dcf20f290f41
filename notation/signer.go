package notation

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/notaryproject/notation-go/verifier/trustpolicy"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// The levels of verification (trust-store-trust-policy.md, "Signature
// Verification").
const (
	Strict     = "strict"
	Permissive = "permissive"
	Audit      = "audit"
	Skip       = "skip"
)

// Options say whom a native signer trusts. TrustStores and TrustedIdentities
// are required; the rest of the zero Options is the strict setting.
type Options struct {
	// TrustStores hold whom the signer's certificate must descend from, at least
	// one of them of type ca or signingAuthority.
	TrustStores []TrustStore
	// TrustedIdentities are "x509.subject: <distinguished name>", each a subset
	// of the leaf's subject with at least C, ST and O, or "*" alone.
	TrustedIdentities []string
	// Level is strict, permissive or audit; "" means strict. A signer of level
	// audit proves nothing (TRUST R29).
	Level string
	// Override changes the level's action for a validation: authenticity,
	// authenticTimestamp and expiry to enforce or log, revocation also to skip.
	Override map[string]string
	// VerifyTimestamp is always or afterCertExpiry; "" means always. It needs a
	// trust store of type tsa.
	VerifyTimestamp string
	// Revocation tells about revoked certificates; nil means [Offline].
	Revocation Revocation
	// Plugins are the verification plugins that signatures may call for. A
	// signature that calls for another one is refused.
	Plugins []Plugin
	// PluginHost runs them; nil runs none, so that signatures that call for one
	// prove nothing.
	PluginHost *PluginHost
	// AdmitNotEnforced makes a proof of what else is a problem with reason
	// NotEnforced: the signature of somebody, with a note that nobody was asked
	// for. It is for dialects of Notation alone (TRUST R29).
	AdmitNotEnforced bool
}

// Signer verifies Notation signatures. It implements policy.Signer, is
// immutable and safe for concurrent use. The zero Signer has no statement, so
// that every image is out of its scope.
type Signer struct {
	statements []statement
	revocation Revocation
	plugins    []Plugin
	host       *PluginHost
	id         policy.SignerID
}

// New returns a signer for every repository.
func New(o Options) (*Signer, error) {
	level := o.Level
	switch level {
	case "":
		level = Strict
	case Skip:
		return nil, errors.New("notation signer: level \"skip\" verifies nothing: leave the requirement out instead")
	}
	p := trustpolicy.TrustPolicy{
		Name:              "native",
		TrustedIdentities: slices.Clone(o.TrustedIdentities),
		SignatureVerification: trustpolicy.SignatureVerification{
			VerificationLevel: level, Override: overrideOf(o.Override), VerifyTimestamp: trustpolicy.TimestampOption(o.VerifyTimestamp),
		},
	}
	if len(o.TrustStores) > maxStores {
		return nil, fmt.Errorf("notation signer: expected at most %d trust stores, got %d", maxStores, len(o.TrustStores))
	}
	stores := make([]TrustStore, 0, len(o.TrustStores))
	for i, s := range o.TrustStores {
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("notation signer: trust store %d: %w", i, err)
		}
		s.Name = fmt.Sprintf("store-%d", i)
		stores = append(stores, s)
		p.TrustStores = append(p.TrustStores, string(s.Type)+":"+s.Name)
	}
	plugins, err := clonePlugins(o.Plugins)
	if err != nil {
		return nil, fmt.Errorf("notation signer: %w", err)
	}
	s, err := newStatement(p, stores, plugins)
	if err != nil {
		return nil, fmt.Errorf("notation signer: %w", err)
	}
	s.name, s.wildcard, s.admits = "", true, o.AdmitNotEnforced
	return newSigner(Signer{statements: []statement{s}, revocation: o.Revocation, plugins: plugins, host: o.PluginHost})
}

func newSigner(s Signer) (*Signer, error) {
	if s.revocation == nil {
		s.revocation = Offline{}
	}
	id, err := s.contentID()
	if err != nil {
		return nil, err
	}
	s.id = id
	return &s, nil
}

// ID returns the signer's identity by content: scopes, actions, timestamp
// option, trusted identities, the certificates of the trust stores, the
// revocation option, and the plugins with their digests and configuration. Names of statements and stores are not part of it.
func (s *Signer) ID() policy.SignerID { return s.id }

// PerRepository returns true: statements are chosen by repository.
func (s *Signer) PerRepository() bool { return true }

// Need asks for Notation signatures.
func (s *Signer) Need() evidence.Need { return evidence.Need{Notation: true} }

// Describe returns who must have signed.
func (s *Signer) Describe() string {
	var names, identities []string
	for _, st := range s.statements {
		names = append(names, fmt.Sprintf("%q", clip(st.name)))
		identities = append(identities, st.names...)
	}
	if len(s.statements) == 1 && s.statements[0].name == "" {
		return "a Notation certificate of identity " + few(identities)
	}
	return "Notation trust policy " + few(names)
}

// few joins the first of a list.
func few(list []string) string {
	const most = 3
	if len(list) > most {
		return clip(strings.Join(list[:most], ", ")) + fmt.Sprintf(" and %d more", len(list)-most)
	}
	return clip(strings.Join(list, " or "))
}

// Statement is what a signer's policy says about a repository.
type Statement struct {
	Name  string // "" for a native signer
	Level string // strict, permissive, audit or skip
	// Proves reports that a valid signature is a proof: integrity and
	// authenticity are enforced. A signer that does not prove answers every
	// otherwise valid signature with reason NotEnforced.
	Proves bool
	// Skipped reports level skip: no signature is asked for or looked at.
	Skipped bool
	// Weaknesses lists what is not enforced, such as "expiry: log".
	Weaknesses []string
}

// Statement returns the statement for a repository, and false if none covers
// it. It lets a dialect of Notation admit where the level asks for no proof
// (TRUST R29) and lets a person be told (TRUST R19).
func (s *Signer) Statement(repository imageref.Repository) (Statement, bool) {
	st := s.statement(repository)
	if st == nil {
		return Statement{}, false
	}
	return st.public(), true
}

// Statements returns all statements in the document's order.
func (s *Signer) Statements() []Statement {
	all := make([]Statement, 0, len(s.statements))
	for i := range s.statements {
		all = append(all, s.statements[i].public())
	}
	return all
}

func (s *statement) public() Statement {
	return Statement{Name: s.name, Level: s.level, Proves: s.rules.proves(), Skipped: s.rules.skipped(), Weaknesses: s.rules.weaknesses()}
}

// statement selects by exact repository, else by "*".
func (s *Signer) statement(repository imageref.Repository) *statement {
	var wildcard *statement
	for i := range s.statements {
		st := &s.statements[i]
		if slices.Contains(st.scopes, repository) {
			return st
		}
		if st.wildcard {
			wildcard = st
		}
	}
	return wildcard
}

// contentID hashes what verdicts depend on (TRUST R34), in an order that does
// not depend on how it was written.
func (s *Signer) contentID() (policy.SignerID, error) {
	type store struct {
		Type         StoreType
		Certificates []string
	}
	type content struct {
		Wildcard   bool
		Scopes     []string
		Rules      rules
		Timestamp  trustpolicy.TimestampOption
		Identities []string
		Stores     []store
		Admits     bool `json:",omitempty"`
	}
	statements := make([]string, 0, len(s.statements))
	for _, st := range s.statements {
		c := content{Wildcard: st.wildcard, Rules: st.rules, Timestamp: st.timestamp, Identities: slices.Sorted(slices.Values(st.names)), Admits: st.admits}
		for _, scope := range st.scopes {
			c.Scopes = append(c.Scopes, scope.String())
		}
		slices.Sort(c.Scopes)
		byType := map[StoreType][]string{}
		for _, trust := range st.stores {
			for _, cert := range trust.Certificates {
				sum := sha256.Sum256(cert.Raw)
				byType[trust.Type] = append(byType[trust.Type], hex.EncodeToString(sum[:]))
			}
		}
		for _, t := range []StoreType{CA, SigningAuthority, TSA} {
			c.Stores = append(c.Stores, store{Type: t, Certificates: slices.Compact(slices.Sorted(slices.Values(byType[t])))})
		}
		raw, err := json.Marshal(c)
		if err != nil {
			return "", fmt.Errorf("identify notation signer: %w", err)
		}
		statements = append(statements, string(raw))
	}
	slices.Sort(statements)
	raw, err := json.Marshal(struct {
		Version    int
		Statements []string
		Revocation string
		Plugins    []Plugin
	}{1, statements, s.revocation.ID(), s.plugins})
	if err != nil {
		return "", fmt.Errorf("identify notation signer: %w", err)
	}
	sum := sha256.Sum256(raw)
	return policy.SignerID("notation:sha256:" + hex.EncodeToString(sum[:])), nil
}
