package policy

import (
	"fmt"
	"slices"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// Policy says what must be proven for some images in some requests. It is
// immutable once it is part of a snapshot.
type Policy struct {
	Origin Origin

	// Include and Exclude select images. An empty Include selects none.
	Include, Exclude []ImagePattern
	// Match selects requests; nil selects all.
	Match Matcher

	Mode        Mode
	OnUndecided OnUndecided
	Pin         Pin
	PinKinds    []string // kinds that are pinned; empty: wherever the image is decided

	// Platform says of which digest the requirement must hold where the image is
	// an index, and Platforms, with [PlatformEach], which platforms count; empty
	// is every one that may run.
	Platform  Platform
	Platforms []evidence.Platform

	Require Requirement

	// ByName, if set, is the name under which callers choose the policy. It then
	// applies to no request that does not name it.
	ByName string
	// PullSecrets are Secrets of the operator that may read the images' registry,
	// beside those of the object.
	PullSecrets []evidence.SecretName

	// Invalid, if set, says why the policy could not be compiled. It then
	// matches every image of its scope as Undecided (TRUST R18).
	Invalid error
	// Notes say where the policy is weaker or other than it reads (TRUST R19).
	Notes []Note
}

// Covers reports whether the policy selects the image by name.
func (p *Policy) Covers(ref imageref.Reference) bool {
	includes := func(i ImagePattern) bool { return i.Includes(ref) }
	excludes := func(i ImagePattern) bool { return i.Excludes(ref) }
	return slices.ContainsFunc(p.Include, includes) && !slices.ContainsFunc(p.Exclude, excludes)
}

// PinsKind reports whether the policy wants images of objects of the kind
// pinned: it enforces, pins, and the kind is among PinKinds or PinKinds is
// empty (TRUST R39, R40).
func (p *Policy) PinsKind(kind string) bool {
	return p.Mode == Enforce && p.Pin == PinDigest && (len(p.PinKinds) == 0 || slices.Contains(p.PinKinds, kind))
}

// Origin says where a policy came from. It names the policy in messages.
type Origin struct {
	Dialect   string // "native"
	Kind      string // of the object
	Namespace string // of a namespaced object
	Name      string // of the object
	Rule      string // of dialects that have rules
	Entry     string // of rules that have several entries, such as "verifyImages[1]"
	File      string // path and line, if it came from a file
}

// String returns "name", "namespace/name" or "name/rule". The entry is not part
// of it.
func (o Origin) String() string {
	s := o.Name
	if o.Namespace != "" {
		s = o.Namespace + "/" + s
	}
	if o.Rule != "" {
		s += "/" + o.Rule
	}
	return s
}

// ImagePattern selects images by name. The two directions differ where a
// reference can be read in two ways: doubt includes and never excludes
// (TRUST R12, R13).
type ImagePattern interface {
	Includes(imageref.Reference) bool
	Excludes(imageref.Reference) bool
	String() string
}

// Mode says what a refusal does.
type Mode uint8

// The modes. The zero Mode enforces.
const (
	Enforce Mode = iota
	Warn         // admit, and say so to the user
	Audit        // admit, and count
)

// String returns the mode as policies write it.
func (m Mode) String() string {
	switch m {
	case Warn:
		return "Warn"
	case Audit:
		return "Audit"
	case Enforce:
	}
	return "Enforce"
}

// OnUndecided says what an enforcing policy does when it could not be told.
type OnUndecided uint8

// The choices. The zero value denies.
const (
	DenyUndecided OnUndecided = iota
	// AllowIfProvenBefore allows if the same proofs held within the last day
	// (TRUST R35).
	AllowIfProvenBefore
	// AllowUndecidedUnsafe allows during outages of operator-named registries
	// (TRUST R41).
	AllowUndecidedUnsafe
)

// String returns the choice as policies write it.
func (u OnUndecided) String() string {
	switch u {
	case AllowIfProvenBefore:
		return "AllowIfProvenBefore"
	case AllowUndecidedUnsafe:
		return "Allow"
	case DenyUndecided:
	}
	return "Deny"
}

// Pin says whether an allowed image is pinned to the digest that was verified.
type Pin uint8

// The choices. The zero value pins.
const (
	PinDigest Pin = iota
	PinNone
)

// String returns the choice as policies write it.
func (p Pin) String() string {
	if p == PinNone {
		return "None"
	}
	return "Digest"
}

// Platform says which digest of an image index must be proven (TRUST R31).
type Platform uint8

// The choices. The zero value is the digest that the reference resolves to.
const (
	PlatformIndex Platform = iota
	PlatformEach           // that of every child that may run
)

// String returns the choice as policies write it.
func (p Platform) String() string {
	if p == PlatformEach {
		return "Each"
	}
	return "Index"
}

// Note says where a policy is weaker or other than it reads.
type Note struct {
	Path      string
	Text      string
	Weakening bool // it weakens the verification (TRUST R19)
}

// Matcher selects requests.
type Matcher interface {
	// Match reports whether the policy applies to the request. An error means
	// that it could not be told; the policy then applies as Undecided
	// (TRUST R16).
	Match(Request) (bool, error)
}

// ScopedMatcher is a Matcher that selects requests of some namespaces alone, so
// that others need not ask it.
type ScopedMatcher interface {
	Matcher
	// Namespaces returns the names of all namespaces for which Match may return
	// true or an error where the request's namespace is known; empty if it may for
	// any.
	Namespaces() []string
}

// MatcherFunc is a function that is a [Matcher].
type MatcherFunc func(Request) (bool, error)

// Match calls f.
func (f MatcherFunc) Match(r Request) (bool, error) { return f(r) }

// Request is what a policy may look at beside the image. Everything in it is
// written by the user whose request is decided, except what the API server
// vouches for: Namespace, User and Operation.
type Request struct {
	Namespace Namespace
	Kind      string // "Pod"; empty outside Kubernetes
	// Name is the object's. It ends in "*" if the rest is yet to be generated, and
	// is empty outside Kubernetes.
	Name      string
	Operation string // CREATE or UPDATE; empty outside admission
	User      string
	// ServiceAccount is the name that the object asks to run as.
	ServiceAccount string
	// Labels are the object's own: its author's claim.
	Labels map[string]string
}

// Namespace is what is known of the namespace of a request. The zero value is
// a door that carries none: policies that select by namespace then apply.
type Namespace struct {
	State  NamespaceState
	Name   string
	Labels map[string]string // nil if they are not known
}

// NotKnown is why a selection by namespace fails that finds NamespaceUnknown. Path
// is the field that selects.
func (n Namespace) NotKnown(path string) error {
	got := "none"
	if n.Name != "" {
		got = fmt.Sprintf("%q, which was not read yet", n.Name)
	}
	return &evidence.Problem{Reason: evidence.SelectionFailed, Path: path, Expected: "a namespace that is known", Got: got}
}

// NamespaceState says how much is known.
type NamespaceState uint8

// The states.
const (
	NamespaceNotCarried NamespaceState = iota // the door carries no namespace
	NamespaceKnown                            // Name is set; Labels may be nil
	NamespaceUnknown                          // the door carries one and it could not be found out
)
