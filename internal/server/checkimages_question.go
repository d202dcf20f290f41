package server

import (
	"context"
	"net/http"
	"slices"

	"github.com/bonafide-dev/bonafide/attest/jmes"
	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/workload"
)

// question is what the decider is asked: the images that the caller's
// imageReferences mean, by the trust policy alone.
func (c *checkCall) question(ctx context.Context) (engine.Request, *failure) {
	done, ok := c.server.reading.take(ctx)
	if !ok {
		return engine.Request{}, busy()
	}
	defer done()
	extras, failed := c.extras(ctx)
	if failed != nil {
		return engine.Request{}, failed
	}
	c.asked.images = slices.DeleteFunc(c.asked.images, func(i checkImage) bool {
		return len(c.asked.patterns) > 0 && !slices.ContainsFunc(c.asked.patterns, func(p checkPattern) bool { return p.includes(i.spelled) })
	})
	images := make([]workload.Image, len(c.asked.images))
	for i, image := range c.asked.images {
		images[i] = image.workload()
	}
	return engine.Request{Images: images, CanPin: true, Policies: []string{c.asked.trustPolicy}, Extra: extras}, nil
}

// late says that the caller's time is over before anything was decided.
func late(ctx context.Context) *failure {
	if ctx.Err() == nil {
		return nil
	}
	return &failure{http.StatusServiceUnavailable, "expected the request read before the deadline, got only a part; it was not decided"}
}

// imagesLike selects the images that a pattern of the caller's means. It is
// only ever asked what to include.
type imagesLike struct {
	pattern checkPattern
	known   map[string]bool // of the request's own images, in all their spellings
}

var _ policy.ImagePattern = imagesLike{}

// Includes implements [policy.ImagePattern]: doubt includes.
func (p imagesLike) Includes(ref imageref.Reference) bool {
	if means, known := p.known[ref.Original()]; known {
		return means
	}
	return p.pattern.includes(spellingsOf(ref))
}

// Excludes implements [policy.ImagePattern]: it excludes nothing.
func (imagesLike) Excludes(imageref.Reference) bool { return false }

// String returns the pattern.
func (p imagesLike) String() string { return p.pattern.text }

// extras are the artifacts that the request asks for beside the trust policy.
// All of their conditions share one budget, and the request's time.
func (c *checkCall) extras(ctx context.Context) ([]engine.Extra, *failure) {
	var all []engine.Extra
	budget := &jmes.Budget{}
	for _, a := range c.asked.attestations {
		images := imagesLike{pattern: a.pattern, known: map[string]bool{}}
		for _, i := range c.asked.images { // two of one reference may differ in their tags
			images.known[i.ref()] = images.known[i.ref()] || a.pattern.includes(i.spelled)
		}
		for _, t := range a.types {
			if failed := late(ctx); failed != nil {
				return nil, failed
			}
			conditions, err := t.compile(budget)
			if err != nil {
				return nil, notAcceptable("failed to create attestation list: " + t.where + ": " + err.Error())
			}
			all = append(all, engine.Extra{Images: images, Artifact: policy.Claim{
				Type: t.name, Quantifier: policy.EveryFound, Conditions: conditions, Where: t.where,
			}})
		}
	}
	return all, nil
}

// compile compiles what an artifact must say. A type without conditions asks
// that artifacts are there and signed.
func (t checkType) compile(budget *jmes.Budget) ([]policy.Condition, error) {
	if t.conditions.Any == nil && t.conditions.All == nil {
		return nil, nil
	}
	// Kyverno resolves `{{ }}` itself, so that policies write `\{{ }}`.
	compiled, err := jmes.Compile([]jmes.Block{t.conditions}, jmes.Options{Escaped: true, Budget: budget})
	if err != nil {
		return nil, err
	}
	return []policy.Condition{compiled}, nil
}
