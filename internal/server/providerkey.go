package server

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/workload"
)

const (
	// maxNamespaceName is a DNS label's length (RFC 1123).
	maxNamespaceName = 63
	// maxGroups is how many namespaces of one batch are decided at once.
	// Gatekeeper asks about one object, and so about one namespace.
	maxGroups = 8
)

// imageKey is a key as Ratify's templates write it: "image", or
// "[namespace]image".
type imageKey struct {
	text      string // as the caller wrote it
	image     string
	state     policy.NamespaceState
	namespace string
}

// parseKey splits a key. An image on an IPv6 host begins with a bracket too; a
// namespace holds no colon. The brackets may be empty where the object's
// namespace was not known, and then it is not to us (TRUST R16).
func parseKey(text string) imageKey {
	inside, image, closed := strings.Cut(strings.TrimPrefix(text, "["), "]")
	switch {
	case !strings.HasPrefix(text, "["), !closed:
	case inside == "":
		return imageKey{text: text, image: image, state: policy.NamespaceUnknown}
	case isNamespace(inside):
		return imageKey{text: text, image: image, state: policy.NamespaceKnown, namespace: inside}
	}
	return imageKey{text: text, image: text}
}

// isNamespace reports a DNS label (RFC 1123), which a namespace's name is.
func isNamespace(s string) bool {
	const inner = "abcdefghijklmnopqrstuvwxyz0123456789-"
	return len(s) <= maxNamespaceName && s != "" && strings.Trim(s, inner) == "" && s[0] != '-' && s[len(s)-1] != '-'
}

// judgedKey is a key and what became of it.
type judgedKey struct {
	key      imageKey
	problem  *evidence.Problem // why it could not be read; nothing was decided then
	kept     bool              // the image has a digest, and the door has nothing to decide
	decision engine.ImageDecision
	outcome  policy.Outcome // of the decision, or Undecided
}

// verified reports that an enforcing policy allows the image.
func (j judgedKey) verified() bool { return j.problem == nil && j.outcome == policy.Allowed }

// open reports that it could not be told.
func (j judgedKey) open() bool { return j.problem == nil && !j.kept && j.outcome == policy.Undecided }

func undecidedKeys(judged []judgedKey) int {
	n := 0
	for _, j := range judged {
		if j.open() {
			n++
		}
	}
	return n
}

// keyGroup are the keys of one namespace: one question for the decider.
type keyGroup struct {
	state     policy.NamespaceState
	namespace string
	members   []int // of the batch
	images    []workload.Image
	place     map[string]int // of an image among images
	decision  engine.Decision
	problem   *evidence.Problem // why nothing was decided
}

// judge has the keys decided, equal ones once. A problem says that nothing
// could be.
func (c *providerCall) judge(ctx context.Context, held *slot, grace time.Duration, texts []string) ([]judgedKey, *evidence.Problem) {
	judged := make([]judgedKey, len(texts))
	for i, text := range texts {
		judged[i] = c.readKey(text)
	}
	groups := grouped(judged)
	slots := make(chan struct{}, maxGroups)
	var running sync.WaitGroup
	for _, g := range groups {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			g.late(ctx)
			continue
		}
		running.Go(func() {
			defer func() { <-slots }()
			g.decision, g.problem = c.server.ask(ctx, asked{door: c.at.door, held: held, grace: grace, request: c.question(g)})
		})
	}
	running.Wait()
	for _, g := range groups {
		if g.problem != nil && g.problem.Reason == evidence.Internal {
			return nil, g.problem
		}
		for _, i := range g.members {
			judged[i].decide(g.decision.Images[g.place[judged[i].key.image]])
		}
	}
	return judged, nil
}

// late leaves a group undecided whose turn did not come before the deadline.
func (g *keyGroup) late(ctx context.Context) {
	g.problem = &evidence.Problem{Reason: evidence.DeadlineExceeded, Expected: "a decision before the deadline", Got: "none yet", Err: context.Cause(ctx)}
	g.decision = undecided(g.images, g.problem)
}

// readKey reads one key. Nothing is decided about one that is no image, nor, at
// a door that pins, about an image that has its digest.
func (c *providerCall) readKey(text string) judgedKey {
	j := judgedKey{key: parseKey(text)}
	ref, err := c.server.options.Parser.Parse(j.key.image)
	if err != nil {
		j.problem = malformed(j.key.image, err)
		return j
	}
	j.kept = c.at.mutates && !ref.Digest().IsZero()
	return j
}

func malformed(image string, err error) *evidence.Problem {
	return &evidence.Problem{Reason: evidence.MalformedReference, Expected: "an image reference", Got: fmt.Sprintf("%.300q", image), Err: err}
}

// grouped sorts the keys that are to be decided by namespace, in order.
func grouped(judged []judgedKey) []*keyGroup {
	var groups []*keyGroup
	known := map[imageKey]*keyGroup{}
	for i, j := range judged {
		if j.problem != nil || j.kept {
			continue
		}
		namespace := imageKey{state: j.key.state, namespace: j.key.namespace}
		g := known[namespace]
		if g == nil {
			g = &keyGroup{state: j.key.state, namespace: j.key.namespace, place: map[string]int{}}
			known[namespace] = g
			groups = append(groups, g)
		}
		g.members = append(g.members, i)
		if _, twice := g.place[j.key.image]; !twice {
			g.place[j.key.image] = len(g.images)
			g.images = append(g.images, workload.Image{Ref: j.key.image})
		}
	}
	return groups
}

// question is what the decider is asked. The registry is read with the
// operator's credentials alone: a key's namespace is its author's word, and must
// not lend a namespace's pull secrets (TRUST R36).
func (c *providerCall) question(g *keyGroup) engine.Request {
	n := policy.Namespace{State: g.state}
	if g.state == policy.NamespaceKnown {
		n = c.server.namespace(g.namespace)
	}
	return engine.Request{Request: policy.Request{Namespace: n}, Images: g.images, CanPin: c.at.mutates}
}

// decide takes the decision about the key's image.
func (j *judgedKey) decide(d engine.ImageDecision) {
	j.decision, j.outcome = d, outcomeOf(d)
	if d.Problem != nil && d.Problem.Reason == evidence.MalformedReference {
		j.problem = d.Problem
	}
}

// outcomeOf is a decision's outcome. One that is unknown, and one that allows
// without a policy that does, are undecided (TRUST R48).
func outcomeOf(d engine.ImageDecision) policy.Outcome {
	enforces := func(p engine.PolicyDecision) bool { return p.Mode == policy.Enforce && p.Effective == policy.Allowed }
	switch d.Outcome {
	case policy.Denied, policy.Unmatched:
		return d.Outcome
	case policy.Allowed:
		if slices.ContainsFunc(d.Policies, enforces) {
			return policy.Allowed
		}
	case policy.Undecided:
	}
	return policy.Undecided
}

// outageMessage says why a batch could not be decided, and what else is amiss
// with it.
func outageMessage(judged []judgedKey) string {
	var open, others []string
	for _, j := range judged {
		switch {
		case j.open():
			open = append(open, j.refusals()...)
		case !j.verified():
			others = append(others, j.refusals()...)
		}
	}
	return message(fmt.Sprintf("%d of %d images could not be decided", undecidedKeys(judged), len(judged)), append(open, others...))
}

// refusals says why an image is not verified, line by line.
func (j judgedKey) refusals() []string {
	if j.problem != nil {
		return []string{line(j.key.image, "", j.problem)}
	}
	return refusals(j.decision)
}

// record counts and logs what was decided of each key.
func (c *providerCall) record(ctx context.Context, judged []judgedKey) {
	log := c.server.decisions(ctx, c.started, func() []slog.Attr {
		return []slog.Attr{slog.String("door", string(c.at.door)), slog.String("uid", c.trace)}
	})
	for _, j := range judged {
		if j.kept {
			continue
		}
		l := j.logged()
		c.server.metrics.decided(c.at.door, l.outcome, l.reason)
		if len(j.decision.Lifted) > 0 {
			c.server.lifted(ctx, c.at.door, "image "+clip(j.key.text, maxLine), []engine.ImageDecision{j.decision})
		}
		log.write(ctx, l)
	}
}

// logged is what is counted and logged of the key.
func (j judgedKey) logged() logged {
	l := logged{decision: j.decision, outcome: j.outcome}
	l.decision.Image.Ref = j.key.text
	switch {
	case j.problem != nil:
		l.outcome, l.reason, l.refused = policy.Denied, j.problem.Reason, j.refusals()
	case j.verified():
	default:
		l.reason, l.refused = reasonOf(j.decision), j.refusals()
	}
	return l
}
