package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"

	"github.com/bonafide-dev/bonafide/policy"
)

// PolicyForms tells what is wrong with an object of our own kinds by itself.
// Form gets the object as JSON decodes it, and must not change it. It returns
// what the object's author should know of an object that is right, or an error in
// words for that author; one that wraps several is several. It must judge the
// object alone and ask nobody: whoever may write policies chooses what it says.
// It must be safe for concurrent use.
type PolicyForms interface {
	Form(object map[string]any) ([]policy.Note, error)
}

// policyPath is where the API server asks about objects of our own kinds.
const policyPath = "/admission/policies"

// policies is the door for them. It decides nothing about images: an object that
// gets past it, or is written while nobody answers, is looked at again by whoever
// loads it, and one that does not load fails closed (TRUST R18). So trouble of our
// own is answered with an HTTP error and the registration says what follows, which
// is Ignore: a list that stops an image can be written when we are ill.
const policies door = "policies"

// maxForms is how many objects are looked at at once. Regular expressions,
// conditions and certificates are compiled: milliseconds for what people write,
// seconds for the worst that a tenant could, and that must not take the
// processors from decisions.
const maxForms = 1

// maxFormsAsked is how many wait for that or are looked at. They hold places that
// decisions need, and a tenant can write as many as the API server takes at once.
const maxFormsAsked = 32

// form answers the request that was read.
func (c *call) form(ctx context.Context, w http.ResponseWriter) {
	object, asks := c.written()
	if !asks {
		c.write(ctx, w, answer{Allowed: true})
		return
	}
	var f formal
	release, ok := c.server.asked.try()
	if ok {
		defer release()
		f, ok = c.look(ctx, object)
	}
	switch {
	case !ok:
		w.Header().Set("Retry-After", "1")
		text(w, http.StatusServiceUnavailable, "too many objects under way; this one was not looked at")
	case f.panicked:
		text(w, http.StatusInternalServerError, "internal error; the object was not looked at")
	default:
		c.write(ctx, w, c.formed(ctx, f))
	}
}

// written returns the object, and whether its author has written anything that
// could be wrong: deletions, statuses, labels, finalizers and the like must go
// through whatever the rest says, so that an object from before this version, or
// of the next, is nobody's prisoner.
func (c *call) written() (object map[string]any, asks bool) {
	if c.passes() || c.request.SubResource != "" {
		return nil, false
	}
	object, _ = c.request.Object.(map[string]any)
	old, _ := c.request.OldObject.(map[string]any)
	return object, c.request.Operation != opUpdate || !sameSpec(old, object)
}

// sameSpec reports whether two objects differ at most in what is not the spec.
// Fields that no object has are part of it: they are somebody's spelling of one.
// Nothing is the same as no object.
func sameSpec(a, b map[string]any) bool {
	aside := func(name string) bool { return name == "metadata" || name == "status" }
	for name, value := range a {
		other, set := b[name]
		if !aside(name) && (!set || !reflect.DeepEqual(value, other)) {
			return false
		}
	}
	for name := range b {
		if _, set := a[name]; !aside(name) && !set {
			return false
		}
	}
	return len(a) > 0
}

// formal is what became of a look at an object.
type formal struct {
	notes    []policy.Note
	err      error
	panicked bool
}

// look looks at the object. It returns by the deadline; what takes longer keeps
// its place until it ends. False: nothing is known.
func (c *call) look(ctx context.Context, object map[string]any) (formal, bool) {
	s := c.server
	release, ok := s.forms.take(ctx)
	if !ok {
		return formal{}, false
	}
	done := make(chan formal, 1)
	go func() {
		defer release()
		var f formal
		defer func() {
			if p := recover(); p != nil {
				s.panicked(ctx, c.door, p)
				f = formal{panicked: true}
			}
			done <- f
		}()
		if f.err = c.another(object); f.err == nil {
			f.notes, f.err = s.options.Policies.Form(object)
		}
	}()
	select {
	case f := <-done:
		return f, true
	case <-ctx.Done():
		return formal{}, false
	}
}

// another says if the object is not the one that the request names.
func (c *call) another(object map[string]any) error {
	if kind := c.request.Kind; object["apiVersion"] != kind.apiVersion() || object["kind"] != kind.Kind {
		return fmt.Errorf("expected the %.100s %.100s that the request names, got %.100q %.100q", kind.apiVersion(), kind.Kind, fmt.Sprint(object["apiVersion"]), fmt.Sprint(object["kind"]))
	}
	return nil
}

// formed turns a look into the answer to the caller.
func (c *call) formed(ctx context.Context, f formal) answer {
	if f.err == nil {
		a := answer{Allowed: true}
		for _, n := range f.notes {
			a.Warnings = append(a.Warnings, warning(n.Path+": "+n.Text))
		}
		a.Warnings = warned(a.Warnings)
		return a
	}
	var lines []string
	for _, err := range several(f.err) {
		lines = append(lines, clip(err.Error(), maxLine))
	}
	a := refusal(fmt.Sprintf("this %s is not valid", c.request.Kind.Kind), lines...)
	a.Invalid = true
	if !c.quiet {
		c.server.log.LogAttrs(ctx, slog.LevelInfo, "object refused", append(c.attributes(), slog.String("message", clip(lines[0], maxLine)))...)
	}
	return a
}

// several returns the errors that err consists of, one at least.
func several(err error) []error {
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		if all := many.Unwrap(); len(all) > 0 {
			return all
		}
	}
	return []error{err}
}
