package nirmata

import (
	"regexp"
	"slices"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// Name is the dialect's name in [policy.Origin].
const Name = "nirmata"

// Options vary the dialect. The zero Options is the strict one.
type Options struct {
	// Parser reads registryScopes under the operator's host aliases.
	Parser imageref.Parser
	// Plugins are the verification plugins that signatures may call for
	// (TRUST R30). With none, trusted identities that are not names of X.509
	// subjects are refused.
	Plugins []dialect.PluginSpec
}

// Dialect reads the kinds. It is immutable and safe for concurrent use if its
// signers are. It reads documents together: policies before [Dialect.Link] know
// no trust store.
type Dialect struct {
	signers dialect.Signers
	options Options

	stores   map[string]dialect.Document // by "type:name", the first of that name
	policies map[string]dialect.Document // by trustPolicyName
}

var _ dialect.Linker = (*Dialect)(nil)

// New returns the dialect, which makes its signers through signers.
func New(signers dialect.Signers, o Options) *Dialect { return &Dialect{signers: signers, options: o} }

// Kinds implements [dialect.Dialect].
func (*Dialect) Kinds() []dialect.Kind {
	return []dialect.Kind{{APIVersion: groupVersion, Kind: kindTrustPolicy}, {APIVersion: groupVersion, Kind: kindTrustStore}}
}

// Link implements [dialect.Linker]: it finds out which document has which name.
// Documents that do not decode have none, and are reported when they are read.
func (d *Dialect) Link(documents []dialect.Document) dialect.Dialect {
	linked := &Dialect{signers: d.signers, options: d.options, stores: map[string]dialect.Document{}, policies: map[string]dialect.Document{}}
	for _, document := range documents {
		if document.Kind.Kind == kindTrustStore {
			if s, err := decodeStore(document); err == nil {
				first(linked.stores, storeKey(s), document)
			}
			continue
		}
		var p trustPolicyDocument
		if document.Decode(&p) == nil {
			first(linked.policies, p.Spec.TrustPolicyName, document)
		}
	}
	return linked
}

func first(m map[string]dialect.Document, key string, d dialect.Document) {
	if _, taken := m[key]; !taken {
		m[key] = d
	}
}

// Policies implements [dialect.Dialect]: a TrustPolicy holds a policy for each
// of its statements, a TrustStore none.
func (d *Dialect) Policies(document dialect.Document, _ dialect.Material) ([]policy.Policy, error) {
	r := reader{Dialect: d, Report: dialect.Report{Document: document}}
	var compiled []policy.Policy
	if document.Kind.Kind == kindTrustStore {
		r.trustStore()
	} else {
		compiled = r.trustPolicy()
	}
	if err := r.Errors.Err(); err != nil {
		return nil, err
	}
	return compiled, nil
}

// reader reads one document.
type reader struct {
	*Dialect
	dialect.Report
}

// decode reports whether the document could be read as a whole.
func (r *reader) decode(into any) bool {
	whole := r.Decode(into)
	if r.Document.Namespace != "" {
		r.Errorf("metadata.namespace", "expected none: a %s is of the whole cluster", r.Document.Kind.Kind)
	}
	return whole
}

// plainName is what the Notary Project admits as the name of a trust store. The
// services that the kinds come from made paths of such names.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

const maxName = 253 // the longest name that Kubernetes gives anything

func isName(s string) bool {
	return len(s) <= maxName && plainName.MatchString(s) && s != "." && s != ".."
}

func (r *reader) name(path, s string) {
	if !isName(s) {
		r.Errorf(path, "expected at most %d letters, digits, '_', '.' and '-', got %q", maxName, dialect.Clip(s))
	}
}

// choice reports a word that is not among those allowed.
func (r *reader) choice(path, got string, allowed ...string) bool {
	if slices.Contains(allowed, got) {
		return true
	}
	r.Near(path, got, allowed, "expected %s, got %q", dialect.Either(allowed), dialect.Clip(got))
	return false
}
