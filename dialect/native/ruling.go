package native

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// Bounds of what a ruling may hold: each is looked at, or said, with decisions.
const (
	maxReason    = 1024 // characters
	maxLifted    = 100
	maxWorkloads = 100
	maxExcepted  = 100 // namespaces
)

var _ dialect.Ruler = (*Dialect)(nil)

// RulingKinds implements [dialect.Ruler].
func (*Dialect) RulingKinds() []dialect.Kind {
	return []dialect.Kind{
		{APIVersion: v1alpha1.GroupVersion, Kind: v1alpha1.VerificationExceptionKind},
		{APIVersion: v1alpha1.GroupVersion, Kind: v1alpha1.ImageDenyListKind},
	}
}

// Rulings implements [dialect.Ruler]: a document holds one ruling.
func (d *Dialect) Rulings(document dialect.Document) (dialect.Rulings, error) {
	c := compiler{Dialect: d, Report: dialect.Report{Document: document}}
	found := c.rulings()
	if err := c.Errors.Err(); err != nil {
		return dialect.Rulings{}, err
	}
	return found, nil
}

func (c *compiler) rulings() dialect.Rulings {
	if c.Document.Kind.Kind == v1alpha1.ImageDenyListKind {
		return dialect.Rulings{Denials: []policy.Denial{c.denial()}}
	}
	return dialect.Rulings{Exceptions: []policy.Exception{c.exception()}}
}

func (c *compiler) origin() policy.Origin {
	return policy.Origin{
		Dialect: Name, Kind: c.Document.Kind.Kind, Namespace: c.Document.Namespace, Name: c.Document.Name, File: c.Document.Place(),
	}
}

func (c *compiler) denial() policy.Denial {
	var list v1alpha1.ImageDenyList
	c.Decode(&list)
	c.metadata()
	d := policy.Denial{Origin: c.origin(), Images: c.images(list.Spec.Images), Reason: c.reason(list.Spec.Reason)}
	if i := slices.Index(list.Spec.Images, everyImage); i >= 0 {
		c.Note(dialect.At(imagesPath, i), "every image is stopped, those of this program and of the cluster's own workloads included")
	}
	d.Notes = c.Notes
	return d
}

func (c *compiler) exception() policy.Exception {
	var x v1alpha1.VerificationException
	c.Decode(&x)
	c.metadata()
	e := policy.Exception{
		Origin: c.origin(), Images: c.images(x.Spec.Images), Policies: c.lifted(x.Spec.Policies),
		Reason: c.reason(x.Spec.Reason), Expires: x.Spec.Expires.UTC(), BreakGlass: x.Spec.BreakGlass,
	}
	c.excepted(&e, x.Spec.Match)
	if i := slices.Index(x.Spec.Images, everyImage); i >= 0 && !e.BreakGlass {
		c.Errorf(dialect.At(imagesPath, i), "expected the images that need the exception, got every image: that takes breakGlass: true")
	}
	c.expires(&e, x.CreationTimestamp)
	if e.BreakGlass {
		c.Weaker("spec.breakGlass", "the exception is for an emergency: every use of it is announced")
	}
	c.Weaker("spec", "policies are lifted from %s until %s", counted(len(x.Spec.Images), "entry of spec.images", "entries of spec.images"), e.Expires.Format(time.RFC3339))
	e.Notes = c.Notes
	return e
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

const (
	imagesPath   = "spec.images"
	everyImage   = "**"
	digestPrefix = "sha256:"
)

// images reads a list of digests and repository patterns. A tag says nothing
// about what runs, and so names nothing here (TRUST R13).
func (c *compiler) images(list []string) policy.Images {
	var found policy.Images
	if len(list) == 0 {
		c.Missing(imagesPath, "expected at least one digest or repository pattern, got none")
	}
	if !c.AtMost(imagesPath, len(list), maxPatterns) {
		return found
	}
	c.unique(imagesPath, list)
	for i, s := range list {
		at := dialect.At(imagesPath, i)
		digest, malformed := imageref.ParseDigest(s)
		switch {
		case malformed == nil && digest.Algorithm()+":" == digestPrefix:
			found.Digests = append(found.Digests, digest)
			continue
		case malformed == nil, strings.HasPrefix(s, digestPrefix):
			c.Errorf(at, "expected a digest to be %s and 64 hexadecimal digits, got %q", digestPrefix, dialect.Clip(s))
			continue
		case strings.Contains(s, "@"):
			c.Errorf(at, "expected a digest to stand alone, as it names the image in every repository, got %q", dialect.Clip(s))
			continue
		case strings.Contains(s[strings.LastIndexByte(s, '/')+1:], ":"):
			c.Errorf(at, "expected a repository pattern without tag, as whoever can move the tag could choose what it means, got %q", dialect.Clip(s))
			continue
		}
		pattern, err := c.options.Parser.ParsePattern(s)
		if err != nil {
			c.Errorf(at, "%w", err)
			continue
		}
		found.Patterns = append(found.Patterns, pattern)
	}
	return found
}

func (c *compiler) reason(s string) string {
	const path = "spec.reason"
	switch n := utf8.RuneCountInString(s); {
	case strings.TrimSpace(s) == "":
		c.Missing(path, "expected the reason, for those who meet the consequences, got none")
	case n > maxReason:
		c.Errorf(path, "expected at most %d characters, got %d", maxReason, n)
	}
	return strings.TrimSpace(s)
}

// lifted checks names of policies: "name", or "namespace/name" of a namespaced
// one.
func (c *compiler) lifted(list []string) []string {
	const path = "spec.policies"
	if list != nil && len(list) == 0 {
		c.Errorf(path, "expected at least one name, got none: leave the field out to lift every cluster policy")
	}
	if !c.AtMost(path, len(list), maxLifted) {
		return nil
	}
	c.unique(path, list)
	for i, s := range list {
		namespace, name, namespaced := strings.Cut(s, "/")
		if !namespaced {
			namespace, name = "default", s
		}
		if !isNamespace(namespace) || len(name) > maxObjectName || !objectName.MatchString(name) {
			c.Errorf(dialect.At(path, i), "expected the name of a cluster policy, or namespace/name of another, got %q", dialect.Clip(s))
		}
	}
	return list
}

// excepted limits an exception to requests.
func (c *compiler) excepted(e *policy.Exception, m *v1alpha1.ExceptionMatch) {
	if m == nil {
		return
	}
	if len(m.Namespaces) == 0 && len(m.Workloads) == 0 {
		c.Missing("spec.match", "expected namespaces or workloads, got neither: leave the field out for every one")
	}
	const namespaces, workloads = "spec.match.namespaces", "spec.match.workloads"
	if c.AtMost(namespaces, len(m.Namespaces), maxExcepted) {
		c.unique(namespaces, m.Namespaces)
		for i, name := range m.Namespaces {
			if !isNamespace(name) {
				c.Errorf(dialect.At(namespaces, i), "expected the name of a namespace, got %q", dialect.Clip(name))
			}
		}
		e.Namespaces = m.Namespaces
	}
	if c.AtMost(workloads, len(m.Workloads), maxWorkloads) {
		for i, w := range m.Workloads {
			e.Workloads = append(e.Workloads, c.workload(dialect.At(workloads, i), w))
		}
		c.workloads(workloads, m)
	}
}

// openName is the name of workloads of which the end is generated.
var openName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*\*$`)

func (c *compiler) workload(path string, w v1alpha1.ExceptedWorkload) policy.Workload {
	if known := workloadKinds(); !slices.Contains(known, w.Kind) {
		c.Near(path+".kind", w.Kind, known, "expected %s, got %q", dialect.Either(known), dialect.Clip(w.Kind))
	}
	if len(w.Name) > maxObjectName || !objectName.MatchString(w.Name) && !openName.MatchString(w.Name) {
		c.Errorf(path+".name", "expected the name of an object, which may end in a star, got %q", dialect.Clip(w.Name))
	}
	return policy.Workload{Kind: w.Kind, Name: w.Name}
}

// workloads notes what people expect of a list of workloads and do not get.
func (c *compiler) workloads(path string, m *v1alpha1.ExceptionMatch) {
	if len(m.Workloads) > 0 && len(m.Namespaces) == 0 {
		c.Weaker(path, "whoever creates an object chooses its name: in any namespace, for want of spec.match.namespaces")
	}
	pod := func(w v1alpha1.ExceptedWorkload) bool { return w.Kind == podKind }
	if len(m.Workloads) > 0 && !slices.ContainsFunc(m.Workloads, pod) {
		c.Note(path, "the Pods that these make are decided on their own: add them by kind Pod and a name that ends in a star")
	}
}

// expires applies the bounds of an exception's life, from when it was created
// as the API server says, else from now. Whoever decides by it applies them to
// its own clock too.
func (c *compiler) expires(e *policy.Exception, created metav1.Time) {
	const path = "spec.expires"
	if e.Expires.IsZero() {
		c.Missing(path, "expected the time at which the exception ends, got none")
		return
	}
	from, what := created.Time, "it was created"
	if c.options.Now != nil {
		now := c.options.Now()
		if from.After(now.Add(policy.MaxClockSkew)) && !c.formal { // that is not the author's doing
			c.Errorf("metadata.creationTimestamp", "expected a time that has come, got %s at %s: one of the clocks is wrong", stamp(from), stamp(now))
			return
		}
		if from.IsZero() {
			from, what = now, "now"
		}
		if !now.Before(e.Expires) {
			c.Note(path, "the exception has ended and is void")
		}
	}
	if latest := from.Add(e.Life()); !from.IsZero() && e.Expires.After(latest) {
		kind := ""
		if e.BreakGlass {
			kind = ", as it is for an emergency"
		}
		c.Errorf(path, "expected at most %d hours after %s%s, which is %s, got %s", int(e.Life().Hours()), what, kind, stamp(latest), stamp(e.Expires))
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
