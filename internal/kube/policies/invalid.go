package policies

import (
	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// everyImage is the pattern of a policy that could not be read.
type everyImage struct{}

// Includes implements [policy.ImagePattern].
func (everyImage) Includes(imageref.Reference) bool { return true }

// Excludes implements [policy.ImagePattern].
func (everyImage) Excludes(imageref.Reference) bool { return false }

// String implements [policy.ImagePattern].
func (everyImage) String() string { return "**" }

// invalid returns what stands for an object that does not compile and never did
// (TRUST R18): a policy for all images of its scope, a list that every image may
// be on, an exception that lifts nothing.
func invalid(e *entry, scope dialect.Scope, origin policy.Origin) dialect.Loaded {
	why := e.loaded.Err
	switch e.kind.name {
	case v1alpha1.VerificationExceptionKind:
		return dialect.Loaded{Rulings: dialect.Rulings{Exceptions: []policy.Exception{{Origin: origin, Invalid: why}}}}
	case v1alpha1.ImageDenyListKind:
		return dialect.Loaded{Rulings: dialect.Rulings{Denials: []policy.Denial{{Origin: origin, Invalid: why}}}}
	}
	if scope.OtherMatter || scope.OnlyReferred {
		return dialect.Loaded{}
	}
	p := policy.Policy{Origin: origin, Include: []policy.ImagePattern{everyImage{}}, ByName: scope.ByName, Pin: policy.PinNone, Invalid: why}
	if origin.Namespace != "" {
		p.Match = within(origin.Namespace)
	}
	return dialect.Loaded{Policies: []policy.Policy{p}}
}

// within matches the requests of a namespace, and those of which that is not
// known.
type within string

// Match implements [policy.Matcher].
func (w within) Match(r policy.Request) (bool, error) {
	switch r.Namespace.State {
	case policy.NamespaceKnown:
		return r.Namespace.Name == string(w), nil
	case policy.NamespaceNotCarried:
		return true, nil
	case policy.NamespaceUnknown:
	}
	return false, r.Namespace.NotKnown("match")
}

// Namespaces implements [policy.ScopedMatcher].
func (w within) Namespaces() []string { return []string{string(w)} }
