package nirmata

import "github.com/bonafide-dev/bonafide/dialect"

var _ dialect.Scoper = (*Dialect)(nil)

// Scope implements [dialect.Scoper]: only callers who name a TrustPolicy are
// decided by it, and a TrustStore decides nothing.
func (*Dialect) Scope(document dialect.Document) dialect.Scope {
	if document.Kind.Kind == kindTrustStore {
		return dialect.Scope{OnlyReferred: true}
	}
	var d trustPolicyDocument
	_ = document.Decode(&d) // what is wrong with it is reported by Policies
	if d.Spec.TrustPolicyName == "" {
		return dialect.Scope{ByName: document.Name}
	}
	return dialect.Scope{ByName: d.Spec.TrustPolicyName}
}
