package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/bonafide-dev/bonafide/imageref"
)

// How far ahead an [Exception] may end: at most [MaxExceptionLife], and at most
// [MaxBreakGlassLife] if it breaks glass. What is needed for longer belongs into
// the policy, where others see it.
const (
	MaxExceptionLife  = 90 * 24 * time.Hour
	MaxBreakGlassLife = 24 * time.Hour
)

// MaxClockSkew is how far apart the clocks of those who write, store and judge
// a ruling may be.
const MaxClockSkew = 5 * time.Minute

// Exception lifts policies from some images until it ends. It is cluster-scoped:
// whoever may write one may write cluster policies (TRUST R17). It is immutable
// once it is part of a snapshot. The zero Exception lifts nothing.
type Exception struct {
	Origin Origin
	// Images are those from which policies are lifted.
	Images Images
	// Namespaces, if any, are the only ones for which the exception holds. It then
	// lifts nothing where the namespace of a request is not known.
	Namespaces []string
	// Workloads, if any, are the only objects for which the exception holds. They
	// are the very objects that are decided: a Pod that a Deployment makes is a Pod
	// with a name of its own, and nothing that could be trusted says whose it is
	// (TRUST R46).
	Workloads []Workload
	// Policies are the names of those that are lifted: "name" of cluster-scoped
	// objects, "namespace/name" of others. Empty are all cluster-scoped ones.
	Policies []string

	Reason  string // the author's words
	Expires time.Time
	// BreakGlass says that the exception is for an emergency: it ends soon and
	// every use of it is announced.
	BreakGlass bool

	// Invalid, if set, says why the exception could not be compiled. It then lifts
	// nothing.
	Invalid error
	// Notes say where the exception is other than it reads (TRUST R19).
	Notes []Note
}

// Workload names objects. A star at the end of Name stands for any characters.
type Workload struct{ Kind, Name string }

// names reports whether the workload means the object of the request. A name
// that is yet to be generated is meant if it is, however it will end.
func (w Workload) names(r Request) bool {
	if r.Kind == "" || r.Name == "" || r.Kind != w.Kind {
		return false
	}
	prefix, open := strings.CutSuffix(w.Name, "*")
	if open {
		return prefix != "" && strings.HasPrefix(r.Name, prefix)
	}
	return r.Name == w.Name
}

// Life is how far ahead the exception may end.
func (e *Exception) Life() time.Duration {
	if e.BreakGlass {
		return MaxBreakGlassLife
	}
	return MaxExceptionLife
}

// Active reports whether the exception holds at now: it is valid, has not ended,
// and does not end further ahead than it may. One without an end never holds.
func (e *Exception) Active(now time.Time) bool {
	return e.Invalid == nil && now.Before(e.Expires) && !e.Expires.After(now.Add(e.Life()+MaxClockSkew))
}

// HoldsFor reports whether the exception is for the request. What is not known of
// the request satisfies nothing.
func (e *Exception) HoldsFor(r Request) bool {
	if len(e.Namespaces) > 0 && (r.Namespace.State != NamespaceKnown || !slices.Contains(e.Namespaces, r.Namespace.Name)) {
		return false
	}
	return len(e.Workloads) == 0 || slices.ContainsFunc(e.Workloads, func(w Workload) bool { return w.names(r) })
}

// Lifts reports whether the exception is about the policy. One that is no object,
// such as what a command line asks for, is never lifted, and an exception of a
// namespace lifts nothing (TRUST R17).
func (e *Exception) Lifts(policy Origin) bool {
	switch {
	case policy.Kind == "" || policy.Name == "" || e.Origin.Namespace != "":
		return false
	case len(e.Policies) == 0:
		return policy.Namespace == ""
	case policy.Namespace != "":
		return slices.Contains(e.Policies, policy.Namespace+"/"+policy.Name)
	}
	return slices.Contains(e.Policies, policy.Name)
}

// Denial stops images: it beats every policy and every exception. It is
// immutable once it is part of a snapshot.
type Denial struct {
	Origin Origin
	// Images are those that are stopped. A digest stops what a reference names or
	// resolves to, and not an index for one of its platforms. The tag of an image
	// that a policy covers is resolved for it, and leaves the image Undecided if
	// that fails, whatever the policies excuse. No registry is asked about an image
	// that no policy covers (TRUST R8): only a digest that is written counts there.
	Images Images
	Reason string // the author's words

	// Invalid, if set, says why the list could not be compiled. Every image is then
	// Undecided: it might be on the list (TRUST R18).
	Invalid error
	// Notes say where the list is other than it reads (TRUST R19).
	Notes []Note
}

// Images are images by content, whatever they are called, or by name, whatever
// they hold. A pattern means an image of an [Exception] if it excludes it, and one
// of a [Denial] if it includes it: doubt lifts nothing and stops everything
// (TRUST R12, R13). The zero Images are none.
type Images struct {
	Digests  []imageref.Digest
	Patterns []ImagePattern
}
