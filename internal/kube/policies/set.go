package policies

import (
	"errors"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// The reasons of a [Result] beside those of the native kinds' conditions and the
// [evidence.Reason] of a problem.
const (
	// ReasonInvalidPolicy: the object says something that is wrong.
	ReasonInvalidPolicy = "InvalidPolicy"
	// ReasonInvalidRegexp: a regular expression of it does not compile.
	ReasonInvalidRegexp = "InvalidRegexp"
	// ReasonIgnored goes with an object of a foreign kind that asks for nothing
	// that concerns images. It is ready: nothing is to be done.
	ReasonIgnored = "Ignored"
)

// Set is everything that a cluster's objects said at one time. It is immutable.
type Set struct {
	// Policies, Exceptions and Denials are in the order of the dialects' kinds,
	// namespaces and names.
	Policies   []policy.Policy
	Exceptions []policy.Exception
	Denials    []policy.Denial
	// Objects are the Secrets and ConfigMaps that policies name and that exist.
	Objects dialect.Objects
	// Results say what became of each object, in the same order.
	Results []Result

	mirrors map[schema.GroupResource]*mirror[*object] // of the kinds that are watched
}

// Result is what became of one object.
type Result struct {
	Resource        schema.GroupVersionResource
	Kind            string
	Namespace, Name string
	UID             types.UID
	// Generation is the one that this is about: the last that was compiled, with
	// everything that it names.
	Generation int64
	// Ready says that the object is in force as it is written. Reason and Message
	// say why not; they are the same for the same fault.
	Ready           bool
	Reason, Message string
	// Weakenings are the places where the object asks for less than the defaults
	// do (TRUST R19), in the version that is in force.
	Weakenings []string
	// Notes is how many notes that version has, weakenings included.
	Notes int
}

// String returns "Kind name" or "Kind namespace/name".
func (r Result) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// maxWeakenings is how many of them a status holds.
const maxWeakenings = 1000

// maxMessage bounds a message: a condition's may have 32768 characters, and
// nobody reads that many.
const maxMessage = 2000

// add adds what an entry amounts to. It returns when that will be another by the
// passing of time alone; zero is never.
func (s *Set) add(e *entry, d dialect.Dialect, now time.Time) (until time.Time) {
	result := Result{
		Resource: e.kind.resource.WithVersion(e.kind.version), Kind: e.kind.name, Namespace: e.object.namespace, Name: e.object.name,
		UID: e.object.uid, Generation: e.generation, Ready: true, Reason: v1alpha1.ReasonInForce,
	}
	inForce := e.inForce()
	if e.loaded.Err != nil {
		scope := dialect.ScopeOf(d, e.object.document)
		result.Ready, result.Reason, result.Message = scope.OtherMatter, reasonOf(e), message(e, inForce != nil)
		if scope.OtherMatter {
			result.Reason = ReasonIgnored
		}
		if inForce == nil {
			stand := invalid(e, scope, policy.Origin{
				Dialect: dialectName(e.kind.resource.Group), Kind: result.Kind, Namespace: result.Namespace, Name: result.Name,
			})
			inForce = &stand
		}
	}
	s.Policies = append(s.Policies, inForce.Policies...)
	s.Exceptions = append(s.Exceptions, inForce.Rulings.Exceptions...)
	s.Denials = append(s.Denials, inForce.Rulings.Denials...)
	result.notes(inForce)
	if e.loaded.Err == nil {
		result.unavailable(inForce.Policies)
		until = result.expires(inForce.Rulings.Exceptions, now)
	}
	s.Results = append(s.Results, result)
	return until
}

// notes copies the weakenings of what is in force.
func (r *Result) notes(inForce *dialect.Loaded) {
	add := func(notes []policy.Note) {
		r.Notes += len(notes)
		for _, n := range notes {
			if text := dialect.Clip(n.Path + ": " + n.Text); n.Weakening && len(r.Weakenings) < maxWeakenings && !slices.Contains(r.Weakenings, text) {
				r.Weakenings = append(r.Weakenings, text)
			}
		}
	}
	for _, p := range inForce.Policies {
		add(p.Notes)
	}
	for _, e := range inForce.Rulings.Exceptions {
		add(e.Notes)
	}
	for _, d := range inForce.Rulings.Denials {
		add(d.Notes)
	}
}

// unavailable says that a policy is in force whose signer waits for its key or
// trusted root: its images are undecided until then.
func (r *Result) unavailable(policies []policy.Policy) {
	for _, p := range policies {
		for _, claim := range policy.Signatures(p.Require) {
			if waits, is := claim.Signer.(policy.Unavailable); is && waits.Unavailable() != nil {
				why := waits.Unavailable()
				r.Ready, r.Reason, r.Message = false, string(why.Reason), clip(claim.Signer.Describe()+": "+why.Error())
				return
			}
		}
	}
}

// expires says that an exception has ended, or when it will.
func (r *Result) expires(exceptions []policy.Exception, now time.Time) (until time.Time) {
	for _, e := range exceptions {
		if now.Before(e.Expires) {
			return e.Expires
		}
		r.Ready, r.Reason, r.Message = false, v1alpha1.ReasonExpired, "the exception ended at "+e.Expires.UTC().Format(time.RFC3339)
	}
	return time.Time{}
}

// reasonOf classifies why an entry does not compile.
func reasonOf(e *entry) string {
	var expression *syntax.Error
	var problem *evidence.Problem
	switch {
	case len(e.missing()) > 0:
		return string(evidence.KeyUnavailable)
	case errors.As(e.loaded.Err, &expression):
		return ReasonInvalidRegexp
	case errors.As(e.loaded.Err, &problem):
		return string(problem.Reason)
	}
	return ReasonInvalidPolicy
}

// message says what is wrong, and what decides meanwhile.
func message(e *entry, lastGood bool) string {
	text := e.loaded.Err.Error()
	switch {
	case lastGood:
		text = "the last good version stays in force: " + text
	case e.void():
		text = "the exception lifts nothing: " + text
	}
	return clip(text)
}

func clip(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	return strings.ToValidUTF8(text[:maxMessage], "") + "…"
}

// dialectName is the name of the dialect in [policy.Origin], for objects that
// none could read.
func dialectName(group string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(group, "notation."), ".")
	if group == v1alpha1.Group {
		return "native"
	}
	return name
}
